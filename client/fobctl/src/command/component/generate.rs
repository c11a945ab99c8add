//! `fobctl component generate`: a fresh random key as components, each on a form of its own. For a machine without a
//! network; the key itself is never put together here but for its check value.

use crate::{
    check_value::grouped,
    component_form::{self, Heading},
    fault::Fault,
    file::{self, Readers},
    moment,
    output::{Output, tell},
    shown::{rows, utc},
};
use keysvc_client::{
    component::{Component, ComponentSet},
    protocol::name::Name,
};
use serde::{Serialize, Serializer};
use std::{
    fmt::Write as _,
    fs::DirBuilder,
    io::{ErrorKind, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const EXAMPLES: &str = "\
Examples:
  fobctl component generate --components 3 --key acme-master --paper forms";

/// `fobctl component generate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateArgs {
    /// How many components, 2 or 3: one for each custodian.
    #[arg(long, value_name = "2|3", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    components: u8,
    /// The key's name, for the forms.
    #[arg(long, value_name = "NAME")]
    key: Option<Name>,
    /// A new folder for the forms, one page for each component, and the sheet of check values.
    #[arg(long, value_name = "DIR", required_unless_present = "show")]
    paper: Option<PathBuf>,
    /// Show the components on the screen. Whoever sees it, or what recorded it, holds the whole key.
    #[arg(long)]
    show: bool,
}

#[derive(Serialize)]
struct GenerateReport {
    /// The check value of the whole key.
    check_value: String,
    folder: Option<String>,
    sheet: Option<&'static str>,
    components: Vec<ComponentView>,
    #[serde(skip)]
    grouped: String,
}

#[derive(Serialize)]
struct ComponentView {
    number: usize,
    check_value: String,
    form: String,
    file: Option<String>,
    /// With `--show` alone.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    value: Option<Zeroizing<String>>,
    #[serde(skip)]
    grouped: String,
}

#[expect(clippy::ref_option, reason = "the serializer gives the field as it is")]
fn shown<S: Serializer>(value: &Option<Zeroizing<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_ref().map_or("", |value| value.as_str()))
}

/// The report's schema.
const SCHEMA: &str = "keysvc/fobctl-component-generate/1";

/// Room for the text on a screen, in bytes: a line of 60 for each component, and the rows beside them, whose longest is the
/// folder's name, at most 4 KiB.
const TEXT_LEN_MAX: usize = 8 * 1024;

/// The file of the sheet of check values.
const SHEET: &str = "check-values.html";

fn file_of(number: usize) -> String {
    format!("component-{number}.html")
}

pub(in crate::command) fn run<W: Write>(args: &GenerateArgs, output: &mut Output<W>) -> Result<(), Fault> {
    if let Some(folder) = &args.paper {
        fresh(folder)?;
    }
    let set = Component::generate_set(usize::from(args.components));
    let set = set.map_err(|error| Fault::client("make components", error.into()))?;
    let key = args.key.as_ref().map(ToString::to_string);
    let heading = Heading::of(&set, key, utc(moment::now_ms()));
    if let Some(folder) = &args.paper {
        write(folder, &heading, &set)?;
    }
    let report = args.report(&heading, &set);
    output.print_secret(SCHEMA, &report, &report.text())?;
    if let Some(folder) = &args.paper {
        tell(&format_args!(
            "next: print the pages in {0}, give each form to its custodian, then destroy the folder (`shred -u {0}/*`); \
             an officer asks for the import as {SHEET} says",
            folder.display()
        ));
    }
    Ok(())
}

/// Makes a folder that was not there, for its owner alone.
fn fresh(folder: &Path) -> Result<(), Fault> {
    DirBuilder::new().mode(0o700).create(folder).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Fault::usage(
            format!("{} exists already", folder.display()),
            "name another folder: forms of two keys are not to be mixed",
        ),
        _ => Fault::File { doing: "make", path: folder.to_owned(), source },
    })
}

fn write(folder: &Path, heading: &Heading, set: &ComponentSet) -> Result<(), Fault> {
    for (number, component) in (1..).zip(&set.components) {
        let page = component_form::form(heading, number, component)?;
        file::write(&folder.join(file_of(number)), page.as_bytes(), Readers::Owner)?;
    }
    let page = component_form::sheet(heading, set)?;
    file::write(&folder.join(SHEET), page.as_bytes(), Readers::Owner)
}

impl GenerateArgs {
    fn report(&self, heading: &Heading, set: &ComponentSet) -> GenerateReport {
        let components = (1..).zip(&set.components).map(|(number, component)| ComponentView {
            number,
            check_value: component.check_value().to_string(),
            form: heading.serial(number),
            file: self.paper.as_ref().map(|_| file_of(number)),
            value: self.show.then(|| component.written()),
            grouped: grouped(component.check_value()),
        });
        GenerateReport {
            check_value: set.check.to_string(),
            folder: self.paper.as_ref().map(|folder| folder.display().to_string()),
            sheet: self.paper.as_ref().map(|_| SHEET),
            components: components.collect(),
            grouped: heading.check.clone(),
        }
    }
}

impl GenerateReport {
    /// For people. The rows are laid out without the components, which are put below them: what lays rows out copies
    /// them.
    fn text(&self) -> Zeroizing<String> {
        // Of its last size from the start, so that no piece of a component is left where it grew.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN_MAX));
        text.push_str(&self.rows());
        for one in &self.components {
            let Some(value) = &one.value else { continue };
            // Writing to a string does not fail.
            let _ = write!(text, "\nvalue of component {}  ", one.number);
            text.push_str(value);
        }
        text
    }

    fn rows(&self) -> String {
        let of = self.components.len();
        let mut lines = Vec::new();
        for one in &self.components {
            lines.push((format!("component {} of {of}", one.number), format!("check value {}", one.grouped)));
            let file = one.file.as_ref().map(|file| (String::new(), format!("form {}, {file}", one.form)));
            lines.extend(file);
        }
        lines.push(("the whole key".to_owned(), format!("check value {}", self.grouped)));
        if let (Some(folder), Some(sheet)) = (&self.folder, self.sheet) {
            lines.push(("sheet".to_owned(), sheet.to_owned()));
            lines.push(("folder".to_owned(), folder.clone()));
        }
        rows(lines.iter().map(|(name, text)| (name.as_str(), text.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn components_are_shown_from_memory_that_did_not_grow() {
        let args =
            GenerateArgs { components: 3, key: None, paper: Some("f".repeat(4096).into()), show: true };
        let set = Component::generate_set(3).unwrap();
        let report = args.report(&Heading::of(&set, None, String::new()), &set);
        let text = report.text();
        assert_eq!(text.capacity(), TEXT_LEN_MAX, "it grew, and left a copy behind");
        for (number, component) in (1..).zip(&set.components) {
            let line = format!("\nvalue of component {number}  {}", component.written().as_str());
            assert!(text.contains(&line), "component {number}");
            assert!(!report.rows().contains(component.written().as_str()));
        }
        let args = GenerateArgs { show: false, ..args };
        assert!(!args.report(&Heading::of(&set, None, String::new()), &set).text().contains("value of"));
    }

    fn run_into(folder: Option<PathBuf>, show: bool) -> (String, Option<PathBuf>) {
        let args = GenerateArgs { components: 3, key: None, paper: folder.clone(), show };
        let mut bytes = Vec::new();
        run(&args, &mut Output::new(&mut bytes, true)).unwrap();
        (String::from_utf8(bytes).unwrap(), folder)
    }

    #[test]
    fn forms_go_into_a_private_folder_and_no_component_to_the_screen() {
        let scratch = tempfile::tempdir().unwrap();
        let (text, folder) = run_into(Some(scratch.path().join("forms")), false);
        let folder = folder.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [SHEET, "component-1.html", "component-2.html", "component-3.html"]);
        assert!(names.iter().all(|name| mode(&folder.join(name)) == 0o600));
        assert!(!text.contains("\"value\""), "{text}");
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["components"][2]["check_value"].as_str().unwrap().len(), 10);
    }

    #[test]
    fn a_folder_that_is_there_is_not_used() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(fresh(scratch.path()).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn components_that_are_shown_make_the_key_of_the_check_value() {
        let (text, _) = run_into(None, true);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let components = report["components"].as_array().unwrap().iter();
        let components: Vec<_> =
            components.map(|one| Component::from_hex(one["value"].as_str().unwrap()).unwrap()).collect();
        let check = Component::combined_check(&components).unwrap().to_string();
        assert_eq!(report["check_value"], check.as_str());
    }
}
