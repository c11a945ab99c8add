//! Where contexts lie, and where the choice among them is kept.

use super::{Context, parsed};
use crate::fault::Fault;
use keysvc_client::protocol::name::Name;
use std::{
    env, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The file with the kept choice, in the user's folder.
const KEPT_FILE: &str = "context";
/// Longest such file, in bytes: a name of 64 and white space around it.
const KEPT_LEN_MAX: u64 = 256;
/// Most entries of a folder that are looked at, so that a wrong folder costs nothing.
const ENTRIES_MAX: usize = 1_000;

/// Where a context was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The folder that `FOBCTL_CONTEXTS` names.
    Variable,
    /// A development site: the working folder or one above it, or `target/dev` in one of them.
    Site,
    /// The user's configuration folder.
    User,
}

impl Place {
    /// In words.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Variable => "FOBCTL_CONTEXTS",
            Self::Site => "development site",
            Self::User => "user",
        }
    }
}

/// What of the process's surroundings decides about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// `FOBCTL_CONTEXTS`: where it is set, contexts are looked for there alone.
    pub(crate) folder: Option<PathBuf>,
    /// The working folder.
    pub(crate) working: Option<PathBuf>,
    /// The user's folder for this product: `$XDG_CONFIG_HOME/keysvc`, or `~/.config/keysvc`.
    pub(crate) user: Option<PathBuf>,
    /// `FOBCTL_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// `FOBCTL_CONTEXT`.
    pub(crate) context: Option<String>,
    /// Who runs the process.
    pub(crate) uid: Option<u32>,
}

/// Who runs this process, as the system says; nothing where it does not.
pub(crate) fn own_uid() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

impl Surroundings {
    /// This process's own.
    pub(crate) fn of_process() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let user = set("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
        let user = user.or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")));
        Self {
            folder: set("FOBCTL_CONTEXTS").map(PathBuf::from),
            working: env::current_dir().ok(),
            user: user.map(|folder| folder.join("keysvc")),
            config: set("FOBCTL_CONFIG").map(PathBuf::from),
            context: set("FOBCTL_CONTEXT").map(|name| name.to_string_lossy().into_owned()),
            uid: own_uid(),
        }
    }

    /// The folders that hold contexts, in the order they are shown.
    pub(crate) fn places(&self) -> Vec<(Place, PathBuf)> {
        if let Some(folder) = &self.folder {
            return vec![(Place::Variable, folder.clone())];
        }
        let site = self.working.as_deref().and_then(site_around).map(|folder| (Place::Site, folder));
        let user = self.user_contexts().map(|folder| (Place::User, folder));
        site.into_iter().chain(user).collect()
    }

    /// The user's own folder of contexts.
    pub(crate) fn user_contexts(&self) -> Option<PathBuf> {
        self.user.as_ref().map(|folder| folder.join("contexts"))
    }

    /// All contexts, by place and name.
    pub(crate) fn contexts(&self) -> Vec<Context> {
        self.places().iter().flat_map(|(place, folder)| self.contexts_in(*place, folder)).collect()
    }

    fn contexts_in(&self, place: Place, folder: &Path) -> Vec<Context> {
        let entries = fs::read_dir(folder).into_iter().flatten().take(ENTRIES_MAX).flatten();
        let mut found: Vec<_> = entries.filter_map(|entry| self.context_at(place, &entry.path())).collect();
        found.sort_by(|one, other| (&one.name, &one.file).cmp(&(&other.name, &other.file)));
        found
    }

    /// `NAME/client.toml` or, but in a site, `NAME.toml`.
    fn context_at(&self, place: Place, path: &Path) -> Option<Context> {
        let inner = path.join("client.toml");
        let (name, file) = if inner.is_file() {
            (path.file_name()?, inner)
        } else if place != Place::Site && path.extension()? == "toml" && path.is_file() {
            (path.file_stem()?, path.to_owned())
        } else {
            return None;
        };
        let distrusted = self.distrust(&file);
        Some(Context { name: name.to_str()?.parse().ok()?, file, place, distrusted })
    }

    /// Why a file that was found, not named, is not used: it says which library to load and whom to trust, so it must
    /// be the user's own or the system's.
    fn distrust(&self, file: &Path) -> Option<&'static str> {
        let Ok(metadata) = fs::metadata(file) else { return Some("cannot be looked at") };
        if metadata.uid() != 0 && Some(metadata.uid()) != self.uid {
            Some("belongs to another user")
        } else if metadata.mode() & 0o022 != 0 {
            Some("can be written by others")
        } else {
            None
        }
    }

    /// The kept choice.
    pub(super) fn kept(&self) -> Result<Option<Name>, Fault> {
        let Some(path) = self.kept_file() else { return Ok(None) };
        let fault = |source| Fault::File { doing: "read", path: path.clone(), source };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault(error)),
            Ok(metadata) if metadata.len() > KEPT_LEN_MAX => {
                parsed("", &path.display().to_string()).map(Some)
            }
            Ok(_) => {
                let text = fs::read_to_string(&path).map_err(fault)?;
                parsed(text.trim(), &path.display().to_string()).map(Some)
            }
        }
    }

    /// Keeps a choice for later commands; gives the file it lies in.
    ///
    /// # Errors
    /// [`Fault`] when there is no folder for it, or it cannot be written.
    pub(crate) fn keep(&self, name: &Name) -> Result<PathBuf, Fault> {
        let path = self.kept_file().ok_or_else(|| {
            Fault::usage(
                "there is no folder to keep the choice in",
                "set HOME, or give --context NAME each time",
            )
        })?;
        let fresh = path.with_extension("new");
        let folder = path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&fresh, format!("{name}\n")))
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|source| Fault::File { doing: "write", path: path.clone(), source })?;
        Ok(path)
    }

    fn kept_file(&self) -> Option<PathBuf> {
        self.user.as_ref().map(|folder| folder.join(KEPT_FILE))
    }
}

/// The development site that a folder is, or is in, or has under `target/dev`: the nearest one upwards.
fn site_around(working: &Path) -> Option<PathBuf> {
    let is_site = |folder: &PathBuf| folder.join("founding.toml").is_file();
    working.ancestors().flat_map(|folder| [folder.to_owned(), folder.join("target/dev")]).find(is_site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    fn here(root: &Path) -> Surroundings {
        Surroundings {
            folder: None,
            working: Some(root.join("site/deep/er")),
            user: Some(root.join("user")),
            config: None,
            context: None,
            uid: own_uid(),
        }
    }

    fn put(root: &Path, file: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn found(surroundings: &Surroundings) -> Vec<(String, Place)> {
        surroundings.contexts().into_iter().map(|context| (context.name.to_string(), context.place)).collect()
    }

    #[test]
    fn a_site_above_the_working_folder_and_the_users_folder_are_looked_at() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        for file in [
            "site/founding.toml",
            "site/b/client.toml",
            "site/a/client.toml",
            "site/service/keysvc.toml",
            "site/d.toml",
            "user/contexts/c.toml",
            "user/contexts/No Name.toml",
            "user/contexts/readme",
        ] {
            put(root, file);
        }
        let expected = [("a", Place::Site), ("b", Place::Site), ("c", Place::User)];
        assert_eq!(found(&here(root)), expected.map(|(name, place)| (name.to_owned(), place)));
    }

    #[test]
    fn the_folder_of_the_variable_is_the_only_one_looked_at() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        put(root, "user/contexts/c.toml");
        put(root, "own/x/client.toml");
        let surroundings = Surroundings { folder: Some(root.join("own")), ..here(root) };
        assert_eq!(found(&surroundings), [("x".to_owned(), Place::Variable)]);
    }

    #[test]
    fn a_file_that_others_could_have_written_is_shown_and_not_used() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        put(root, "user/contexts/c.toml");
        let path = root.join("user/contexts/c.toml");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let [context] = &here(root).contexts()[..] else { panic!("one") };
        assert_eq!(context.distrusted, Some("can be written by others"));
        let fault = here(root).choose(None, None).unwrap_err();
        assert!(fault.to_string().contains("is not used"), "{fault}");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let stranger = Surroundings { uid: None, ..here(root) };
        let own = own_uid() == Some(0);
        assert_eq!(stranger.contexts()[0].distrusted.is_none(), own, "root's files are the system's");
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let scratch = tempfile::tempdir().unwrap();
        let surroundings = here(scratch.path());
        assert_eq!(surroundings.kept().unwrap(), None);
        let name: Name = "terminal-1".parse().unwrap();
        surroundings.keep(&name).unwrap();
        surroundings.keep(&name).unwrap();
        assert_eq!(surroundings.kept().unwrap(), Some(name));
    }
}
