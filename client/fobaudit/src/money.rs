//! Amounts for people: minor units with the currency's decimals (ISO 4217).
//!
//! An unlisted currency is printed in minor units, because a guessed decimal point is a wrong amount.

use std::fmt;

/// Numeric code, alphabetic code and number of decimals.
const CURRENCIES: [(u16, &str, u32); 38] = [
    (36, "AUD", 2),
    (48, "BHD", 3),
    (124, "CAD", 2),
    (152, "CLP", 0),
    (156, "CNY", 2),
    (203, "CZK", 2),
    (208, "DKK", 2),
    (344, "HKD", 2),
    (348, "HUF", 2),
    (352, "ISK", 0),
    (356, "INR", 2),
    (360, "IDR", 2),
    (376, "ILS", 2),
    (392, "JPY", 0),
    (400, "JOD", 3),
    (410, "KRW", 0),
    (414, "KWD", 3),
    (458, "MYR", 2),
    (484, "MXN", 2),
    (512, "OMR", 3),
    (554, "NZD", 2),
    (578, "NOK", 2),
    (608, "PHP", 2),
    (682, "SAR", 2),
    (702, "SGD", 2),
    (704, "VND", 0),
    (710, "ZAR", 2),
    (752, "SEK", 2),
    (756, "CHF", 2),
    (764, "THB", 2),
    (784, "AED", 2),
    (788, "TND", 3),
    (826, "GBP", 2),
    (840, "USD", 2),
    (949, "TRY", 2),
    (978, "EUR", 2),
    (985, "PLN", 2),
    (986, "BRL", 2),
];

/// An amount in a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Money {
    /// Minor units.
    pub(crate) minor: u64,
    /// ISO 4217 numeric code.
    pub(crate) currency: u16,
}

impl Money {
    fn known(self) -> Option<(&'static str, u32)> {
        let found = CURRENCIES.iter().find(|(number, ..)| *number == self.currency);
        found.map(|(_, letters, decimals)| (*letters, *decimals))
    }

    /// The number alone, with the currency's decimals; minor units where it is not listed.
    pub(crate) fn amount(self) -> String {
        let decimals = self.known().map_or(0, |(_, decimals)| decimals);
        let unit = 10_u64.saturating_pow(decimals);
        let whole = self.minor.checked_div(unit).unwrap_or_default();
        let rest = self.minor.checked_rem(unit).unwrap_or_default();
        match usize::try_from(decimals) {
            Ok(width @ 1..) => format!("{whole}.{rest:0width$}"),
            _ => whole.to_string(),
        }
    }

    /// What the number counts, for the head of a column.
    pub(crate) fn unit(self) -> String {
        self.known().map_or_else(
            || format!("minor units of currency {:03}", self.currency),
            |(letters, _)| letters.to_owned(),
        )
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.amount();
        match self.known() {
            Some((letters, _)) => write!(f, "{amount} ({letters} {:03})", self.currency),
            None => write!(f, "{amount} minor units (currency {:03})", self.currency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(minor: u64, currency: u16) -> String {
        Money { minor, currency }.to_string()
    }

    #[test]
    fn minor_units_are_printed_with_the_currencys_decimals() {
        assert_eq!(text(2000, 978), "20.00 (EUR 978)");
        assert_eq!(text(5, 36), "0.05 (AUD 036)");
        assert_eq!(text(1234, 392), "1234 (JPY 392)");
        assert_eq!(text(1234, 414), "1.234 (KWD 414)");
        assert_eq!(text(u64::MAX, 840), "184467440737095516.15 (USD 840)");
    }

    #[test]
    fn an_unlisted_currency_stays_in_minor_units() {
        assert_eq!(text(2000, 7), "2000 minor units (currency 007)");
        let money = Money { minor: 2000, currency: 7 };
        assert_eq!(
            (money.amount(), money.unit()),
            ("2000".to_owned(), "minor units of currency 007".to_owned())
        );
    }

    #[test]
    fn number_and_unit_are_to_be_had_apart() {
        let money = Money { minor: 2005, currency: 978 };
        assert_eq!((money.amount(), money.unit()), ("20.05".to_owned(), "EUR".to_owned()));
    }

    #[test]
    fn the_table_is_in_order_and_without_repetition() {
        assert!(CURRENCIES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
