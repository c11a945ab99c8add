//! Contexts: the personas whose configurations are found on this machine, and the choice among them.
//!
//! A context is a `client.toml` with a name. Where it is looked for is in [`Surroundings`]; what is chosen, and why,
//! in [`Chosen`]. Two contexts of one name, or several where none is named, are refused with the candidates: acting
//! as the wrong persona is worse than asking. It reads no configuration.

mod places;

pub(crate) use places::{Place, Surroundings};

use crate::fault::Fault;
use keysvc_client::protocol::name::Name;
use std::path::{Path, PathBuf};

/// A configuration that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    /// Its name: the persona's folder, or the file without `.toml`.
    pub(crate) name: Name,
    /// The `client.toml`.
    pub(crate) file: PathBuf,
    /// Where it was found.
    pub(crate) place: Place,
    /// Why it is not used, where it is not: others than its owner could have written it.
    pub(crate) distrusted: Option<&'static str>,
}

/// The configuration to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The `client.toml`.
    pub(crate) file: PathBuf,
    /// The context, where one was chosen and not a file.
    pub(crate) context: Option<Name>,
    /// What chose it.
    pub(crate) by: By,
}

/// What chose a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// `--config`.
    ConfigOption,
    /// `--context`.
    ContextOption,
    /// `FOBCTL_CONFIG`.
    ConfigVariable,
    /// `FOBCTL_CONTEXT`.
    ContextVariable,
    /// `fobctl context use`.
    Kept,
    /// No other context is there.
    Only,
}

impl By {
    /// In words.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ConfigOption => "--config",
            Self::ContextOption => "--context",
            Self::ConfigVariable => "FOBCTL_CONFIG",
            Self::ContextVariable => "FOBCTL_CONTEXT",
            Self::Kept => "fobctl context use",
            Self::Only => "it is the only context",
        }
    }
}

impl Surroundings {
    /// The configuration that option, environment, kept choice or discovery gives; the first of these that says
    /// something decides.
    ///
    /// # Errors
    /// [`Fault::Usage`] with what was looked for and the next command.
    pub(crate) fn choose(&self, config: Option<&Path>, context: Option<&Name>) -> Result<Chosen, Fault> {
        let file = |file: &Path, by| Chosen { file: file.to_owned(), context: None, by };
        if let Some(config) = config {
            return Ok(file(config, By::ConfigOption));
        }
        if let Some(name) = context {
            return self.named(name, By::ContextOption);
        }
        match (&self.config, &self.context) {
            (Some(_), Some(_)) => Err(Fault::usage(
                "FOBCTL_CONFIG and FOBCTL_CONTEXT are both set",
                "unset one of them, or give --config FILE or --context NAME",
            )),
            (Some(config), None) => Ok(file(config, By::ConfigVariable)),
            (None, Some(name)) => self.named(&parsed(name, "FOBCTL_CONTEXT")?, By::ContextVariable),
            (None, None) => match self.kept()? {
                Some(name) => self.named(&name, By::Kept),
                None => self.only(),
            },
        }
    }

    /// The context of this name.
    fn named(&self, name: &Name, by: By) -> Result<Chosen, Fault> {
        let found = self.contexts();
        let same: Vec<_> = found.iter().filter(|context| context.name == *name).collect();
        match same[..] {
            [one] => match one.distrusted {
                None => Ok(Chosen { file: one.file.clone(), context: Some(name.clone()), by }),
                Some(why) => Err(Fault::usage(
                    format!("context {name} is not used: {} {why}", one.file.display()),
                    "make the file your own and writable by you alone, or give it with --config FILE",
                )),
            },
            [] => {
                let next =
                    if found.is_empty() { self.advice() } else { format!("give one of: {}", names(&found)) };
                Err(Fault::usage(
                    format!("there is no context {name} (from {}); {}", by.name(), self.searched()),
                    next,
                ))
            }
            _ => {
                let files: Vec<_> = same.iter().map(|context| context.file.display().to_string()).collect();
                let what = format!("there is more than one context {name}: {}", files.join(", "));
                Err(Fault::usage(what, "give the file you mean with --config FILE"))
            }
        }
    }

    /// The one context there is.
    fn only(&self) -> Result<Chosen, Fault> {
        let found = self.contexts();
        match &found[..] {
            [one] => self.named(&one.name, By::Only),
            [] => {
                let what =
                    format!("no configuration is given, and there are no contexts; {}", self.searched());
                Err(Fault::usage(what, self.advice()))
            }
            several => Err(Fault::usage(
                format!("no configuration is given, and there are several contexts: {}", names(several)),
                "give --context NAME, or keep one with `fobctl context use NAME`",
            )),
        }
    }

    fn searched(&self) -> String {
        let places: Vec<_> = self.places().iter().map(|(_, folder)| folder.display().to_string()).collect();
        if places.is_empty() {
            "nowhere to look".to_owned()
        } else {
            format!("looked in {}", places.join(" and "))
        }
    }

    fn advice(&self) -> String {
        let user = self.user_contexts().map_or_else(String::new, |folder| {
            format!("put a client.toml at {}/NAME.toml, or ", folder.display())
        });
        format!("{user}give --config FILE, or set FOBCTL_CONFIG to its path")
    }
}

/// A context's name out of a file or variable.
fn parsed(text: &str, from: &str) -> Result<Name, Fault> {
    text.parse().map_err(|error| {
        Fault::usage(
            format!("{from} does not hold a context's name: {error}"),
            "see the names with `fobctl context list`",
        )
    })
}

fn names(contexts: &[Context]) -> String {
    let mut names: Vec<_> = contexts.iter().map(|context| context.name.as_str()).collect();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Scratch(tempfile::TempDir);

    impl Scratch {
        /// A folder with these files in it, all empty.
        fn new(files: &[&str]) -> Self {
            let scratch = tempfile::tempdir().unwrap();
            for file in files {
                let path = scratch.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            Self(scratch)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn surroundings(&self) -> Surroundings {
            Surroundings {
                folder: None,
                working: Some(self.path("work")),
                user: Some(self.path("user")),
                config: None,
                context: None,
                uid: places::own_uid(),
            }
        }
    }

    fn wrong(chosen: Result<Chosen, Fault>) -> (String, String) {
        let fault = chosen.unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        (fault.to_string(), fault.next().to_owned())
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn the_line_decides_before_the_environment_and_that_before_what_is_kept() {
        let scratch =
            Scratch::new(&["user/contexts/a.toml", "user/contexts/b/client.toml", "user/contexts/c.toml"]);
        let here = scratch.surroundings();
        here.keep(&name("c")).unwrap();
        let environment = Surroundings { context: Some("b".into()), ..here.clone() };
        let file = Surroundings { config: Some("f".into()), ..here.clone() };
        let chosen = |from: &Surroundings, config: Option<&str>, context: Option<&str>| {
            from.choose(config.map(Path::new), context.map(name).as_ref())
                .map(|chosen| (chosen.file, chosen.by))
        };
        assert_eq!(chosen(&environment, Some("x"), None).unwrap(), ("x".into(), By::ConfigOption));
        let a = scratch.path("user/contexts/a.toml");
        assert_eq!(chosen(&file, None, Some("a")).unwrap(), (a, By::ContextOption));
        assert_eq!(chosen(&file, None, None).unwrap(), ("f".into(), By::ConfigVariable));
        let b = scratch.path("user/contexts/b/client.toml");
        assert_eq!(chosen(&environment, None, None).unwrap(), (b, By::ContextVariable));
        assert_eq!(chosen(&here, None, None).unwrap(), (scratch.path("user/contexts/c.toml"), By::Kept));
        let both = Surroundings { config: Some("f".into()), ..environment };
        assert!(wrong(both.choose(None, None)).0.contains("both set"));
    }

    #[test]
    fn the_only_context_needs_no_choice_and_several_do() {
        let scratch = Scratch::new(&["user/contexts/a.toml"]);
        assert_eq!(scratch.surroundings().choose(None, None).unwrap().by, By::Only);
        fs::write(scratch.path("user/contexts/b.toml"), "").unwrap();
        let (what, next) = wrong(scratch.surroundings().choose(None, None));
        assert!(what.ends_with("several contexts: a, b"), "{what}");
        assert!(next.contains("fobctl context use"), "{next}");
    }

    #[test]
    fn one_name_in_two_places_is_refused_with_both_files() {
        let scratch = Scratch::new(&[
            "user/contexts/terminal-1.toml",
            "work/target/dev/founding.toml",
            "work/target/dev/terminal-1/client.toml",
        ]);
        let (what, next) = wrong(scratch.surroundings().choose(None, Some(&name("terminal-1"))));
        assert!(
            what.contains("user/contexts/terminal-1.toml") && what.contains("dev/terminal-1/client.toml")
        );
        assert!(next.contains("--config FILE"), "{next}");
    }

    #[test]
    fn where_nothing_is_found_the_places_and_the_mend_are_named() {
        let scratch = Scratch::new(&["work/a"]);
        let (what, next) = wrong(scratch.surroundings().choose(None, None));
        let contexts = scratch.path("user/contexts").display().to_string();
        assert!(what.contains(&contexts), "{what}");
        assert!(next.starts_with(&format!("put a client.toml at {contexts}/NAME.toml")), "{next}");
        assert!(next.contains("FOBCTL_CONFIG"), "{next}");
        let (what, _) = wrong(scratch.surroundings().choose(None, Some(&name("a"))));
        assert!(what.starts_with("there is no context a (from --context); looked in "), "{what}");
    }

    #[test]
    fn a_kept_choice_that_is_gone_is_named_with_what_there_is() {
        let scratch = Scratch::new(&["user/contexts/a.toml"]);
        scratch.surroundings().keep(&name("gone")).unwrap();
        let (what, next) = wrong(scratch.surroundings().choose(None, None));
        assert!(what.starts_with("there is no context gone (from fobctl context use)"), "{what}");
        assert_eq!(next, "give one of: a");
        fs::write(scratch.path("user/context"), "No Name\n").unwrap();
        assert!(
            wrong(scratch.surroundings().choose(None, None)).0.contains("does not hold a context's name")
        );
    }
}
