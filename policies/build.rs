//! Lists the decision cases of `tests/decisions` for the feature `cases`, so that they are inside the
//! program. Without the feature it does nothing.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut cargo = io::stdout();
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")?;
    if env::var_os("CARGO_FEATURE_CASES").is_none() {
        return Ok(());
    }
    writeln!(cargo, "cargo::rerun-if-changed=tests/decisions")?;

    let of_cargo = |name: &str| env::var_os(name).map(PathBuf::from).ok_or("run by cargo");
    let folder = of_cargo("CARGO_MANIFEST_DIR")?.join("tests/decisions");
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("toml")) {
            cases.push(path);
        }
    }
    cases.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));

    let mut list = String::from("const SHIPPED_CASES: &[(&str, &str)] = &[\n");
    for path in &cases {
        let name = path.file_stem().and_then(OsStr::to_str);
        let (Some(name), Some(path)) = (name, path.to_str()) else {
            return Err("the path of a case is not UTF-8".into());
        };
        writeln!(list, "    ({name:?}, include_str!({path:?})),")?;
    }
    list.push_str("];\n");
    fs::write(of_cargo("OUT_DIR")?.join("shipped_cases.rs"), list)?;
    Ok(())
}
