//! `fobctl context`: which personas are found, which one is in use and why, and keeping one for later commands.

use crate::{
    command::read_config,
    context::{Chosen, Context, Surroundings},
    fault::Fault,
    output::{Output, Report, tell},
    shown::{rows, table},
};
use keysvc_client::{ClientConfig, protocol::name::Name};
use serde::Serialize;
use std::{io::Write, path::Path};

/// `fobctl context use`.
#[derive(Debug, clap::Args)]
pub(crate) struct UseArgs {
    /// The context, as `fobctl context list` names it.
    name: Name,
}

#[derive(Serialize)]
struct ListReport {
    contexts: Vec<ContextView>,
}

#[derive(Serialize)]
struct ContextView {
    name: String,
    in_use: bool,
    /// Hosts and ports; none where the file is not used or cannot be read.
    endpoints: Vec<String>,
    found: &'static str,
    file: String,
    /// Why it cannot be used.
    problem: Option<String>,
}

/// Lists the contexts; `chosen` is the one in use.
pub(super) fn list<W: Write>(
    surroundings: &Surroundings,
    chosen: Option<&Chosen>,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let contexts: Vec<_> = surroundings.contexts().iter().map(|one| ContextView::new(one, chosen)).collect();
    let in_use = contexts.iter().any(|context| context.in_use);
    let none = contexts.is_empty();
    output.print(&ListReport { contexts })?;
    match chosen {
        _ if in_use => {}
        Some(chosen) => tell(&format_args!("in use: {} (by {})", chosen.file.display(), chosen.by.name())),
        None if none => {
            let places: Vec<_> =
                surroundings.places().iter().map(|(_, folder)| folder.display().to_string()).collect();
            tell(&format_args!("no contexts; looked in {}", places.join(" and ")));
        }
        None => tell(&"none is in use; next: `fobctl context use NAME`"),
    }
    Ok(())
}

impl ContextView {
    fn new(context: &Context, chosen: Option<&Chosen>) -> Self {
        let read = match context.distrusted {
            Some(why) => Err(format!("not used: {why}")),
            None => ClientConfig::read(&context.file).map_err(|error| error.to_string()),
        };
        let (endpoints, problem) = match read {
            Ok(config) => (config.endpoints, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        Self {
            name: context.name.to_string(),
            in_use: chosen.is_some_and(|chosen| chosen.file == context.file),
            endpoints,
            found: context.place.name(),
            file: context.file.display().to_string(),
            problem,
        }
    }
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-context-list/1"
    }

    fn text(&self) -> String {
        let rows = self.contexts.iter().map(|context| {
            let mark = if context.in_use { "*" } else { "" };
            // The first line says what is wrong; a parser's picture of the place would break the table.
            let problem = context.problem.as_deref().and_then(|problem| problem.lines().next());
            let endpoint = problem.map_or_else(|| context.endpoints.join(", "), str::to_owned);
            [mark.to_owned(), context.name.clone(), endpoint, context.found.to_owned(), context.file.clone()]
        });
        table(["", "name", "endpoint", "found in", "file"], &[], rows)
    }
}

#[derive(Serialize)]
struct UseReport {
    name: String,
    file: String,
    kept_in: String,
}

/// Keeps a context, once it is found and can be read.
pub(super) fn keep<W: Write>(
    surroundings: &Surroundings,
    args: &UseArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let chosen = surroundings.choose(None, Some(&args.name))?;
    read_config(&chosen.file)?;
    let kept_in = surroundings.keep(&args.name)?;
    output.print(&UseReport {
        name: args.name.to_string(),
        file: chosen.file.display().to_string(),
        kept_in: kept_in.display().to_string(),
    })?;
    if surroundings.config.is_some() || surroundings.context.is_some() {
        tell(&"note: FOBCTL_CONFIG or FOBCTL_CONTEXT is set, and decides while it is");
    }
    tell(&format_args!("next: `fobctl status`; to keep none, remove {}", kept_in.display()));
    Ok(())
}

impl Report for UseReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-context-use/1"
    }

    fn text(&self) -> String {
        rows([
            ("in use", self.name.clone()),
            ("configuration", self.file.clone()),
            ("kept in", self.kept_in.clone()),
        ])
    }
}

#[derive(Serialize)]
struct ShowReport {
    context: Option<String>,
    file: String,
    chosen_by: &'static str,
    endpoints: Vec<String>,
    server_name: String,
    trust_domain: String,
    genesis: String,
    trust: String,
    certificate: String,
    key: String,
    ca: String,
    state: String,
    deadline_ms: u64,
    token: Option<String>,
    statement_key: Option<String>,
}

/// Shows the configuration in use.
pub(super) fn show<W: Write>(
    chosen: &Chosen,
    config: &ClientConfig,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let trust = config.read_trust().map_err(|error| Fault::client("read the trust file", error.into()))?;
    let text = |path: &Path| path.display().to_string();
    output.print(&ShowReport {
        context: chosen.context.as_ref().map(Name::to_string),
        file: text(&chosen.file),
        chosen_by: chosen.by.name(),
        endpoints: config.endpoints.clone(),
        server_name: config.server_name.clone(),
        trust_domain: trust.domain.to_string(),
        genesis: trust.genesis.to_string(),
        trust: text(&config.trust),
        certificate: text(&config.certificate),
        key: text(&config.key),
        ca: text(&config.ca),
        state: text(&config.state),
        deadline_ms: config.deadline_ms,
        token: config.token.as_ref().map(|token| format!("{} ({})", token.label, text(&token.module))),
        statement_key: config.statement.as_ref().map(|statement| text(&statement.file)),
    })
}

impl Report for ShowReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-context-show/1"
    }

    fn text(&self) -> String {
        let first = self.context.as_ref().map(|context| ("context", context.clone()));
        let middle = [
            ("configuration", self.file.clone()),
            ("chosen by", self.chosen_by.to_owned()),
            ("endpoint", self.endpoints.join(", ")),
            ("server name", self.server_name.clone()),
            ("trust domain", self.trust_domain.clone()),
            ("genesis", self.genesis.clone()),
            ("trust file", self.trust.clone()),
            ("certificate", self.certificate.clone()),
            ("TLS key", self.key.clone()),
            ("CA", self.ca.clone()),
            ("state folder", self.state.clone()),
            ("deadline", format!("{} ms", self.deadline_ms)),
        ];
        let token = self.token.as_ref().map(|token| ("token", token.clone()));
        let statement = self.statement_key.as_ref().map(|key| ("statement key", key.clone()));
        rows(first.into_iter().chain(middle).chain(token).chain(statement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_in_use_is_marked_and_a_broken_one_says_why() {
        let view = |name: &str, in_use, problem: Option<&str>| ContextView {
            name: name.into(),
            in_use,
            endpoints: if problem.is_some() { vec![] } else { vec!["a:1".into(), "b:1".into()] },
            found: "user",
            file: "/f".into(),
            problem: problem.map(str::to_owned),
        };
        let report = ListReport {
            contexts: vec![view("a", true, None), view("b", false, Some("not TOML\n| picture"))],
        };
        let text = report.text();
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["*", "a", "a:1,", "b:1", "user", "/f"]);
        assert_eq!(lines[2], ["b", "not", "TOML", "user", "/f"]);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn what_is_shown_names_the_choice_and_leaves_out_what_is_not_there() {
        let report = ShowReport {
            context: Some("terminal-1".into()),
            file: "/c".into(),
            chosen_by: "--context",
            endpoints: vec!["a:1".into()],
            server_name: "s".into(),
            trust_domain: "demo.test".into(),
            genesis: "00".into(),
            trust: "/t".into(),
            certificate: "/crt".into(),
            key: "/k".into(),
            ca: "/ca".into(),
            state: "/state".into(),
            deadline_ms: 10_000,
            token: None,
            statement_key: Some("/statement".into()),
        };
        let text = report.text();
        assert!(
            text.contains("terminal-1") && text.contains("10000 ms") && text.contains("/statement"),
            "{text}"
        );
        assert!(!text.lines().any(|line| line.starts_with("token")), "{text}");
    }
}
