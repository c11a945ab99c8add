//! `fobctl key import`: asks for the next version of a card master out of components that custodians hold.
//!
//! It names check values alone: no component passes here. The custodians give theirs with `fobctl component enter`, once
//! enough officers have agreed.

use crate::{
    acted, check_value,
    fault::Fault,
    output::Output,
    own_key::{connect, unlock},
    pin::PinSource,
};
use keysvc_client::{
    ClientConfig,
    officer::KeyImport,
    protocol::{
        bytes::ShortCheck,
        name::{Name, Reason},
        request::{ComponentOrder, Operation},
    },
};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl key import acme-master --check-value '1a2b 3c4d 5e' --component officer-1='0123 4567 89' \\
    --component operator-1=abcdef0123 --reason 'the card maker sends its master key'";

/// `fobctl key import`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// The key's name; the next version of it is made.
    #[arg(value_name = "NAME")]
    name: Name,
    /// The check value of the whole key, 10 hexadecimal digits.
    #[arg(long, value_name = "DIGITS", value_parser = check_value::parse)]
    check_value: ShortCheck,
    /// Who holds a component, and its check value; two or three of them, in the order of the forms' numbers.
    #[arg(long = "component", value_name = "CUSTODIAN=DIGITS", value_parser = component, required = true)]
    components: Vec<ComponentOrder>,
    /// Why, for the log.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    pin: PinSource,
}

fn component(text: &str) -> Result<ComponentOrder, String> {
    let form = || "write it as CUSTODIAN=DIGITS, such as operator-1=abcdef0123".to_owned();
    let (custodian, check) = text.split_once('=').ok_or_else(form)?;
    let custodian = custodian.parse().map_err(|error| format!("{custodian}: {error}"))?;
    Ok(ComponentOrder { custodian, check: check_value::parse(check)? })
}

impl ImportArgs {
    fn check(&self) -> Result<(), Fault> {
        let wrong = |what: &str| Err(Fault::usage(what, "see the example with --help"));
        if !(2..=3).contains(&self.components.len()) {
            return wrong("a key comes in two or three components: give --component for each");
        }
        for (at, one) in self.components.iter().enumerate() {
            let mut before = self.components.iter().take(at);
            if before.any(|other| other.custodian == one.custodian) {
                return wrong("nobody holds two components: name another custodian");
            }
        }
        Ok(())
    }
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: ImportArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    args.check()?;
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let import = KeyImport { name: args.name, check: args.check_value, components: args.components };
    let outcome = officer.import_key(import, args.reason).await;
    acted::report(&officer, Operation::KeyImport, outcome, output).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(components: &[&str]) -> Result<(), u8> {
        let args = ImportArgs {
            name: "acme-master".parse().unwrap(),
            check_value: ShortCheck::new([1; 5]),
            components: components.iter().map(|text| component(text).unwrap()).collect(),
            reason: "why".parse().unwrap(),
            pin: PinSource::default(),
        };
        args.check().map_err(|fault| fault.exit_code())
    }

    #[test]
    fn a_component_names_its_custodian_and_check_value() {
        let order = component("operator-1=abcd ef01 23").unwrap();
        assert_eq!(
            (order.custodian.as_str(), order.check.to_string().as_str()),
            ("operator-1", "abcdef0123")
        );
        for bad in ["operator-1", "operator-1=abcd", "=abcdef0123", "No Name=abcdef0123"] {
            assert!(component(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_or_three_custodians_are_named_and_none_twice() {
        let (ann, bob, eve) = ("ann=0102030405", "bob=0102030406", "eve=0102030407");
        assert_eq!(args(&[ann, bob]), Ok(()));
        assert_eq!(args(&[ann, bob, eve]), Ok(()));
        for wrong in [&[ann][..], &[ann, bob, eve, "joe=0102030408"], &[ann, bob, "ann=0102030409"]] {
            assert_eq!(args(wrong), Err(2), "{wrong:?}");
        }
    }
}
