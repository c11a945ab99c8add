//! A persona's own `SoftHSM` configuration: used where it lies beside the persona's `client.toml`.
//!
//! `SoftHSM` takes its configuration from `SOFTHSM2_CONF` alone, so switching the persona must switch it too. A
//! process cannot change its own environment safely while it runs, so the program replaces itself, once.

use crate::{context::Chosen, fault::Fault};
use keysvc_client::ClientConfig;
use std::{
    env,
    ffi::OsStr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

const VARIABLE: &str = "SOFTHSM2_CONF";
const FILE: &str = "softhsm2.conf";

/// Runs this program again with the persona's own token, where it has one and the environment names another or none.
/// Returns where all is as it should be.
///
/// # Errors
/// [`Fault::Runtime`] when the program cannot be run again.
pub(crate) fn switch(chosen: &Chosen, config: &ClientConfig) -> Result<(), Fault> {
    let Some(wanted) = wanted(chosen, config, env::var_os(VARIABLE).as_deref()) else { return Ok(()) };
    let program = env::current_exe().map_err(Fault::Runtime)?;
    Err(Fault::Runtime(Command::new(program).args(env::args_os().skip(1)).env(VARIABLE, wanted).exec()))
}

/// The configuration to switch to. A context's own decides; beside a named file the environment does, where it is set.
fn wanted(chosen: &Chosen, config: &ClientConfig, set: Option<&OsStr>) -> Option<PathBuf> {
    config.token.as_ref()?;
    if chosen.context.is_none() && set.is_some() {
        return None;
    }
    let own = chosen.file.parent().unwrap_or(Path::new("")).join(FILE).canonicalize().ok()?;
    (set != Some(own.as_os_str())).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::By;
    use std::fs;

    const CONFIG: &str = r#"
        endpoint = "localhost:1"
        server-name = "localhost"
        ca = "ca"
        certificate = "c"
        key = "k"
        trust = "t"
        state = "s"
        [token]
        module = "m"
        label = "station-1"
    "#;

    #[test]
    fn a_contexts_own_token_is_used_and_a_named_files_only_where_none_is_set() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().canonicalize().unwrap();
        let (file, own) = (folder.join("client.toml"), folder.join(FILE));
        fs::write(&file, CONFIG).unwrap();
        let config = ClientConfig::read(&file).unwrap();
        let context = Chosen { file, context: "a".parse().ok(), by: By::ContextOption };
        let named = Chosen { context: None, by: By::ConfigOption, ..context.clone() };
        let (other, none) = (Some(OsStr::new("/other")), None);
        assert_eq!(wanted(&context, &config, none), None, "it has no configuration of its own");
        fs::write(&own, "").unwrap();
        assert_eq!(wanted(&context, &config, none), Some(own.clone()));
        assert_eq!(wanted(&context, &config, other), Some(own.clone()));
        assert_eq!(wanted(&context, &config, Some(own.as_os_str())), None);
        assert_eq!(wanted(&named, &config, other), None);
        assert_eq!(wanted(&named, &config, none), Some(own));
        let without = ClientConfig { token: None, ..config };
        assert_eq!(wanted(&context, &without, none), None);
    }
}
