//! Amounts as people type and read them: decimals of the currency (ISO 4217, as amended to 2026), never floating
//! point.
//!
//! A currency that is not listed is refused where an amount is typed and stays in minor units where one is shown:
//! a guessed decimal point is a wrong amount.

use std::{fmt, str::FromStr};

/// Currencies without decimals: numeric code and alphabetic code, in order.
const WHOLE: &str = "\
    108BIF 152CLP 174KMF 262DJF 324GNF 352ISK 392JPY 410KRW 548VUV 600PYG 646RWF 704VND 800UGX 950XAF \
    952XOF 953XPF";
/// Currencies with two decimals.
const CENTS: &str = "\
    008ALL 012DZD 032ARS 036AUD 044BSD 050BDT 051AMD 052BBD 060BMD 064BTN 068BOB 072BWP 084BZD 090SBD \
    096BND 104MMK 116KHR 124CAD 132CVE 136KYD 144LKR 156CNY 170COP 188CRC 192CUP 203CZK 208DKK 214DOP \
    222SVC 230ETB 232ERN 238FKP 242FJD 270GMD 292GIP 320GTQ 328GYD 332HTG 340HNL 344HKD 348HUF 356INR \
    360IDR 364IRR 376ILS 388JMD 398KZT 404KES 408KPW 417KGS 418LAK 422LBP 426LSL 430LRD 446MOP 454MWK \
    458MYR 462MVR 480MUR 484MXN 496MNT 498MDL 504MAD 516NAD 524NPR 532XCG 533AWG 554NZD 558NIO 566NGN \
    578NOK 586PKR 590PAB 598PGK 604PEN 608PHP 634QAR 643RUB 654SHP 682SAR 690SCR 702SGD 706SOS 710ZAR \
    728SSP 748SZL 752SEK 756CHF 760SYP 764THB 776TOP 780TTD 784AED 807MKD 818EGP 826GBP 834TZS 840USD \
    858UYU 860UZS 882WST 886YER 901TWD 924ZWG 925SLE 926VED 928VES 929MRU 930STN 933BYN 934TMT 936GHS \
    938SDG 941RSD 943MZN 944AZN 946RON 949TRY 951XCD 967ZMW 968SRD 969MGA 971AFN 972TJS 973AOA 976CDF \
    977BAM 978EUR 980UAH 981GEL 985PLN 986BRL";
/// Currencies with three decimals.
const MILLS: &str = "\
    048BHD 368IQD 400JOD 414KWD 434LYD 512OMR 788TND";

/// A currency with its decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Currency {
    number: u16,
    letters: &'static str,
    decimals: u8,
}

/// An amount as typed: digits, and digits after a point where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypedAmount {
    whole: String,
    fraction: String,
}

/// Why a typed amount is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MoneyError {
    /// Not digits with at most one point between them.
    #[error("an amount is digits with the currency's decimals after a point, such as 20.00")]
    NotAnAmount,
    /// Another number of decimals than the currency has.
    #[error("{letters} has {decimals} decimals, not {found}: type {example}")]
    Decimals {
        /// The currency's alphabetic code.
        letters: &'static str,
        /// Its decimals.
        decimals: u8,
        /// The decimals typed.
        found: usize,
        /// How it is typed.
        example: &'static str,
    },
    /// More minor units than 64 bits hold.
    #[error("the amount is too large")]
    TooLarge,
    /// Not in the list.
    #[error("currency {0:03} is not a current one of ISO 4217")]
    UnknownCurrency(u16),
}

impl Currency {
    /// The currency of this ISO 4217 numeric code.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`] when there is none.
    pub(crate) fn of(number: u16) -> Result<Self, MoneyError> {
        let digits = format!("{number:03}");
        for (decimals, list) in [(0, WHOLE), (2, CENTS), (3, MILLS)] {
            let found = list.split_ascii_whitespace().find_map(|entry| entry.strip_prefix(digits.as_str()));
            if let Some(letters) = found {
                return Ok(Self { number, letters, decimals });
            }
        }
        Err(MoneyError::UnknownCurrency(number))
    }

    /// The typed amount in minor units.
    ///
    /// # Errors
    /// [`MoneyError`] when it has other decimals than the currency, or is too large.
    pub(crate) fn minor_units(self, typed: &TypedAmount) -> Result<u64, MoneyError> {
        if typed.fraction.len() != usize::from(self.decimals) {
            let example = match self.decimals {
                0 => "20",
                2 => "20.00",
                _ => "20.000",
            };
            let Self { letters, decimals, .. } = self;
            return Err(MoneyError::Decimals { letters, decimals, found: typed.fraction.len(), example });
        }
        // Both are digits alone, so that together they are the minor units.
        format!("{}{}", typed.whole, typed.fraction).parse().map_err(|_| MoneyError::TooLarge)
    }

    /// Minor units with the currency's decimals, without its code.
    pub(crate) fn decimal(self, minor: u64) -> String {
        let unit = 10_u64.saturating_pow(u32::from(self.decimals));
        let whole = minor.checked_div(unit).unwrap_or_default();
        let rest = minor.checked_rem(unit).unwrap_or_default();
        match usize::from(self.decimals) {
            0 => whole.to_string(),
            width => format!("{whole}.{rest:0width$}"),
        }
    }

    /// Its alphabetic code.
    pub(crate) const fn letters(self) -> &'static str {
        self.letters
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:03})", self.letters, self.number)
    }
}

/// An amount for people, with its currency.
pub(crate) fn shown(minor: u64, currency: u16) -> String {
    Currency::of(currency).map_or_else(
        |_| format!("{minor} minor units of currency {currency:03}"),
        |currency| format!("{} {}", currency.decimal(minor), currency.letters()),
    )
}

impl FromStr for TypedAmount {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if digits(fraction) => (whole, fraction),
            Some(_) => return Err(MoneyError::NotAnAmount),
            None => (text, ""),
        };
        if !digits(whole) {
            return Err(MoneyError::NotAnAmount);
        }
        Ok(Self { whole: whole.to_owned(), fraction: fraction.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, currency: u16) -> Result<u64, MoneyError> {
        Currency::of(currency)?.minor_units(&text.parse()?)
    }

    #[test]
    fn amounts_are_typed_with_exactly_the_currencys_decimals() {
        assert_eq!(minor("20.00", 978), Ok(2000));
        assert_eq!(minor("0.05", 840), Ok(5));
        assert_eq!(minor("1234", 392), Ok(1234));
        assert_eq!(minor("1.234", 414), Ok(1234));
        assert_eq!(minor("184467440737095516.15", 978), Ok(u64::MAX));
    }

    #[test]
    fn other_decimals_are_refused_with_an_example() {
        for text in ["20", "20.0", "20.000"] {
            let error = minor(text, 978).unwrap_err();
            assert!(matches!(error, MoneyError::Decimals { letters: "EUR", decimals: 2, .. }), "{text}");
            assert!(error.to_string().ends_with("type 20.00"), "{error}");
        }
        assert!(matches!(minor("20.00", 392), Err(MoneyError::Decimals { letters: "JPY", .. })));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1.00", "+1.00", "1,00", "1.0.0", "1e3", " 1.00", "١.٠٠"] {
            assert_eq!(text.parse::<TypedAmount>(), Err(MoneyError::NotAnAmount), "{text:?}");
        }
        assert_eq!(minor("184467440737095516.16", 978), Err(MoneyError::TooLarge));
    }

    #[test]
    fn amounts_are_shown_with_the_currencys_decimals() {
        assert_eq!(shown(2000, 978), "20.00 EUR");
        assert_eq!(shown(5, 36), "0.05 AUD");
        assert_eq!(shown(1234, 392), "1234 JPY");
        assert_eq!(shown(1234, 414), "1.234 KWD");
        assert_eq!(shown(u64::MAX, 840), "184467440737095516.15 USD");
    }

    #[test]
    fn what_is_shown_can_be_typed_again() {
        for currency in [978, 392, 414] {
            for amount in [0, 1, 99, 100, 123_456, u64::MAX] {
                let text = Currency::of(currency).unwrap().decimal(amount);
                assert_eq!(minor(&text, currency), Ok(amount), "{text}");
            }
        }
    }

    #[test]
    fn an_unlisted_currency_is_not_guessed() {
        assert_eq!(minor("20.00", 7), Err(MoneyError::UnknownCurrency(7)));
        assert_eq!(shown(2000, 7), "2000 minor units of currency 007");
    }

    #[test]
    fn the_lists_have_each_currency_once_with_three_digits_and_three_letters() {
        let entries: Vec<_> =
            [WHOLE, CENTS, MILLS].into_iter().flat_map(str::split_ascii_whitespace).collect();
        let mut numbers: Vec<_> = entries.iter().map(|entry| &entry[..3]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), entries.len());
        assert!(entries.iter().all(|entry| entry.len() == 6
            && entry[..3].parse::<u16>().is_ok()
            && entry[3..].bytes().all(|byte| byte.is_ascii_uppercase())));
    }
}
