//! The environment of a half: the variables of a closed list, and those that the configuration names.
//!
//! Apart because the parent gives it and the half reads it. What is in a variable of the daemon's own, a password of
//! somebody else's perhaps, reaches no half.

use super::Role;
use std::{env, ffi::OsString, path::PathBuf};

/// Of the log, of traces of panics, and what a parent says.
const BOTH: [&str; 4] = ["KEYSVC_LOG", "KEYSVC_LOG_FORMAT", "RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];
/// Where the tokens of the modules that are known lie, and a service manager's credentials.
const KEEPER: [&str; 3] = ["SOFTHSM2_CONF", "KRYOPTIC_CONF", "CREDENTIALS_DIRECTORY"];
/// The service manager's ear.
const MANAGER: &str = "NOTIFY_SOCKET";

/// The variables that the half is given, of those that are set here; `further` are the configuration's.
#[must_use]
pub fn of(role: Role, further: &[String]) -> Vec<(OsString, OsString)> {
    names(role, further)
        .into_iter()
        .filter_map(|name| Some((OsString::from(name), env::var_os(name)?)))
        .collect()
}

fn names(role: Role, further: &[String]) -> Vec<&str> {
    let keeper = if role == Role::Keeper { KEEPER.as_slice() } else { &[] };
    BOTH.iter().chain(keeper).copied().chain(further.iter().map(String::as_str)).collect()
}

/// The files that the half's variables name, such as the configuration of a PKCS#11 module: it is to read them.
pub(super) fn files(role: Role, further: &[String]) -> Vec<PathBuf> {
    of(role, further)
        .into_iter()
        .map(|(_, value)| PathBuf::from(value))
        .filter(|path| path.is_file())
        .collect()
}

/// Whether the service manager listens at an abstract socket.
pub(super) fn has_abstract_manager() -> bool {
    env::var_os(MANAGER).is_some_and(|place| place.as_encoded_bytes().starts_with(b"@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_given_what_the_lists_and_the_configuration_name_and_the_front_no_token() {
        let further = ["CARGO_PKG_NAME".to_owned()];
        let given = |role| of(role, &further).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        // Cargo's own variables are there, and one alone was named.
        assert!(env::var_os("CARGO_PKG_VERSION").is_some());
        for role in Role::ALL {
            assert!(given(role).contains(&"CARGO_PKG_NAME".into()));
            assert!(!given(role).contains(&"CARGO_PKG_VERSION".into()));
        }
        assert!(names(Role::Keeper, &[]).contains(&"SOFTHSM2_CONF"));
        assert!(!names(Role::Front, &[]).contains(&"SOFTHSM2_CONF"));
    }
}
