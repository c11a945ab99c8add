//! Ceremonies: reviewed plans, carried out step by step by named people, with a transcript that they sign.
//!
//! What a plan and a transcript are is [`keysvc_client::protocol::ceremony`]'s; what the log says of them is the auditor's.
//! Here a plan is read, put on paper, agreed to and walked through: every act is one that a command of its own does too.

pub(crate) mod agreement;
pub(crate) mod answers;
pub(crate) mod card;
pub(crate) mod durable;
pub(crate) mod finish;
pub(crate) mod named;
pub(crate) mod page;
pub(crate) mod people;
pub(crate) mod perform;
pub(crate) mod plan_file;
pub(crate) mod progress;
pub(crate) mod rehearsal;
pub(crate) mod walk;
pub(crate) mod words;

#[cfg(test)]
mod tests {
    use super::{page, plan_file::PlanFile, words};
    use keysvc_client::protocol::bytes::Digest;
    use std::{fs, path::Path};

    /// The examples in `docs/ceremonies`.
    fn examples() -> Vec<PlanFile> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ceremonies");
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        paths.sort();
        paths.iter().map(|path| PlanFile::read(path).unwrap()).collect()
    }

    #[test]
    fn every_example_is_a_plan_that_becomes_a_script_and_cannot_be_run_as_it_is() {
        let examples = examples();
        let names: Vec<_> =
            examples.iter().map(|one| one.path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        let expected =
            ["found", "import-from-components", "new-master-key", "new-officer", "policy-change", "rotate"];
        assert_eq!(names, expected);
        for one in examples {
            assert_eq!(one.plan.genesis, (!one.plan.founds()).then_some(Digest::new([0; 32])));
            let page = page::html(&page::Page::of_plan(&one)).unwrap();
            assert!(page.contains(one.plan.title.as_str()) && page.len() < 256 * 1024);
            assert!(words::plan(&one.plan).contains("officer-1: "), "{}", one.plan.title);
        }
    }
}
