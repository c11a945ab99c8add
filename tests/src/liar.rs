//! A token that lies: `tests/tokens/liar.c` between the keeper and its module, compiled for one ground.
//!
//! Apart from the tests because what it lies about is a file, which a test writes while the keeper runs. It judges nothing.

use crate::ground::Ground;
use std::{env, fs, path::PathBuf, process::Command};

/// The shim of one ground.
#[derive(Debug)]
pub struct Liar {
    lie: PathBuf,
}

impl Liar {
    /// Compiles the shim and puts it in the place of the service's module. It is honest until it is told to lie.
    ///
    /// # Panics
    /// When there is no C compiler (`cc`, or what `CC` names), or the configuration names no module.
    #[must_use]
    pub fn between(ground: &Ground) -> Self {
        let home = ground.site().service();
        let text = fs::read_to_string(ground.site().service_config()).unwrap();
        let real = text.lines().find_map(|line| line.strip_prefix("module = ")).unwrap().trim_matches('"');
        // The lie in the token's own folder, which the keeper may read whatever else it may; the library where it may not
        // write, as any module.
        let (lie, library) = (home.token_folder().join("lie"), ground.site().folder().join("liar.so"));
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tokens/liar.c");
        let compiled = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-shared", "-fPIC", "-Wall", "-Werror"])
            .arg(format!("-DREAL=\"{real}\""))
            .arg(format!("-DLIE=\"{}\"", lie.display()))
            .arg("-o")
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        ground.change(&format!("module = \"{real}\""), &format!("module = \"{}\"", library.display()));
        Self { lie }
    }

    /// Lies about this from now on; what there is to choose from stands at the head of the shim.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn about(&self, what: &str) {
        fs::write(&self.lie, what).unwrap();
    }

    /// Says the truth from now on.
    ///
    /// # Panics
    /// When it did not lie.
    pub fn stop(&self) {
        fs::remove_file(&self.lie).unwrap();
    }
}
