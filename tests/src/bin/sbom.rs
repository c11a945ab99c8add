//! Writes the bill of materials of what a site runs: see [`keysvc_tests::sbom`] and docs/supply-chain.md.
//!
//! ```text
//! cargo run --bin sbom                     writes all into target/sbom
//! cargo run --bin sbom -- --into FOLDER    ... into a folder
//! cargo run --bin sbom -- keysvc           prints one
//! ```

use clap::Parser;
use keysvc_tests::{packages::PROGRAMS, sbom};
use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Writes the bill of materials of keysvc, fobctl and fobaudit: CycloneDX 1.6, JSON.
#[derive(Debug, Parser)]
#[command(name = "sbom")]
struct Arguments {
    /// Print that of this program instead.
    #[arg(value_parser = PROGRAMS)]
    program: Option<String>,
    /// The folder to write into; made where it is missing.
    #[arg(long, value_name = "FOLDER", default_value = "target/sbom")]
    into: PathBuf,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(program) = arguments.program {
        writeln!(anstream::stdout(), "{:#}", sbom::of(&program))?;
        return Ok(ExitCode::SUCCESS);
    }
    for program in PROGRAMS {
        let path = arguments.into.join(format!("{program}.cdx.json"));
        let written = fs::create_dir_all(&arguments.into)
            .and_then(|()| fs::write(&path, format!("{:#}\n", sbom::of(program))));
        if let Err(error) = written {
            let path = path.display();
            writeln!(
                anstream::stderr(),
                "{path}: {error}; give a folder that can be written: --into FOLDER"
            )?;
            return Ok(ExitCode::FAILURE);
        }
        writeln!(anstream::stdout(), "{}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
