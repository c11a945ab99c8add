//! The program `vectors` over the shared files, and over files that are not as they should be.

use keysvc_protocol::{bytes::Digest, hash::sha256};
use keysvc_tests::ground::text;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The shared files, with the SHA-256 of each: they are copies, and an edit of one is none of the product's.
const SHARED: [(&str, &str); 10] = [
    ("README.md", "d48e9ead584a48e761b902f2111d9b7b06db664f8fc765695a0c71bf9476c5a9"),
    ("an10922.json", "f366a190bd3f4360d3ee51bebc9c6b168fb1867901cda8951e3107bcd39345a7"),
    ("cose_sign1.json", "7a7be5cd76f100a205ce3b79f5cdaafac759b8e9cd6ea9e7adc660cb50e0abe5"),
    ("desfire_tmac.json", "edfceb7bc95ea3e4946e4b2676e457e1fb58794617ee461286bb28c82508b427"),
    ("ev2_aes.json", "a180ea1384e035011918aa7b28dcf1d4467e692634d98fd1e49a7d7407171551"),
    ("kcv.json", "41144cd0e25fabbd4b3ebb65b4a98cb8707b2d29ae84d38e47c409bc051272b6"),
    ("key_components.json", "4fcc72b446e616cb152ceb5a7bd20d5a82ff9a716b5356b61107f92a7ce81d5c"),
    ("rfc4493_cmac.json", "7622e35050e834f49489c9e807e147e7b3a015d99021d85b86103fde0172b28b"),
    ("sdm_sun.json", "ee426c820d64f5f6b977495ccde9887bac23e5f9bf1675351ace08a74e91e424"),
    ("tr31_d.json", "84f6556369cb52127a6fb868a2fbac6864fce208bf3de1efb59e41fe65211806"),
];

/// What is printed at the end of each known file. Refused are: AES-192 and AES-256 keys, 3DES, inputs outside of 16 to 31
/// bytes, keys and check values of other lengths, a high s, other forms of COSE_Sign1, and what must be refused.
const SUMMARIES: [&str; 5] = [
    "an10922.json: 11 ok, 23 refused, 0 mismatches, 0 passed over",
    "cose_sign1.json: 1 ok, 9 refused, 0 mismatches, 0 passed over",
    "kcv.json: 3 ok, 3 refused, 0 mismatches, 0 passed over",
    "key_components.json: 1 ok, 3 refused, 0 mismatches, 0 passed over",
    "rfc4493_cmac.json: 4 ok, 0 refused, 0 mismatches, 0 passed over",
];
/// What is printed at the end of all.
const TOTAL: &str = "total        5 files run, 4 not yet: 20 ok, 38 refused, 0 mismatches, 0 passed over";
/// Lines that begin with: ok, refused, MISMATCH, PASSED OVER, not yet.
const COUNTED: [usize; 5] = [20, 38, 0, 0, 4];

fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn vectors(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vectors")).arg(folder).output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

/// How many lines begin with a word.
fn begin(lines: &[String], word: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(word)).count()
}

/// The text of a shared file, edited.
fn altered_text(name: &str, edit: impl Fn(&str) -> String) -> String {
    let whole = fs::read_to_string(shared().join(name)).unwrap();
    let altered = edit(&whole);
    assert_ne!(altered, whole, "{name} is as it was");
    altered
}

/// A folder with one shared file, edited.
fn edited(name: &str, edit: impl Fn(&str) -> String) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), altered_text(name, edit)).unwrap();
    folder
}

#[test]
fn every_case_of_the_shared_files_comes_out_or_is_refused_and_no_file_is_passed_over() {
    let output = vectors(&shared());
    assert!(output.status.success(), "{}", text(&output));
    let lines = lines(&output);
    let summaries: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("             ")).collect();
    assert_eq!(summaries, SUMMARIES, "{}", text(&output));
    assert_eq!(lines.last().unwrap(), TOTAL);
    let counted =
        ["ok ", "refused ", "MISMATCH ", "PASSED OVER ", "not yet "].map(|word| begin(&lines, word));
    assert_eq!(counted, COUNTED, "{}", text(&output));
    for name in ["desfire_tmac.json", "ev2_aes.json", "sdm_sun.json", "tr31_d.json"] {
        assert!(lines.iter().any(|line| line.starts_with("not yet") && line.contains(name)), "{name}");
    }
    assert!(output.stderr.is_empty(), "{}", text(&output));
}

#[test]
fn the_copies_are_the_shared_files_to_the_byte() {
    let mut found: Vec<_> = fs::read_dir(shared())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let digest: Digest = sha256(&[&fs::read(&path).unwrap()]);
            (path.file_name().unwrap().to_str().unwrap().to_owned(), digest.to_string())
        })
        .collect();
    found.sort();
    assert_eq!(found, SHARED.map(|(name, digest)| (name.to_owned(), digest.to_owned())));
}

/// A file, what stands in it once or more, and what is put in the place of the first.
const ALTERED: [(&str, &str, &str); 15] = [
    ("an10922.json", "a8dd63a3b89d54b37ca802473fda9175", "a8dd63a3b89d54b37ca802473fda9174"),
    ("an10922.json", "\"mark\": \"published\"", "\"mark\": \"negative\""),
    ("an10922.json", "\"length\": 17", "\"length\": 18"),
    ("an10922.json", "\"alg\": \"aes192\"", "\"alg\": \"aes128\""),
    ("kcv.json", "\"6f2f9be174\"", "\"6f2f9be175\""),
    ("kcv.json", "53e107b36ef2c5381b62d83d46bb2149", "53e107b36ef2c5381b62d83d46bb2148"),
    ("key_components.json", "dac966803a", "dac966803b"),
    ("key_components.json", "74f8668b7f", "74f8668b7e"),
    ("key_components.json", "1f7b29c608a079462397a82f8c36a0da", "1f7b29c608a079462397a82f8c36a0db"),
    ("cose_sign1.json", "\"length\": 177", "\"length\": 178"),
    ("cose_sign1.json", "\"sig_structure\": \"846a53", "\"sig_structure\": \"856a53"),
    ("cose_sign1.json", "f7cb1c942d657c41", "f7cb1c942d657c42"),
    ("cose_sign1.json", "e8db72b8820b", "e8db72b8820c"),
    ("cose_sign1.json", "94\",\n   \"low_s\": false", "95\",\n   \"low_s\": false"),
    ("rfc4493_cmac.json", "bb1d6929e95937287fa37d129b756746", "bb1d6929e95937287fa37d129b756747"),
];

#[test]
fn whatever_is_altered_in_one_case_ends_the_run_with_1_and_a_line_about_it() {
    // One alteration of each file at a time, because every run makes tokens.
    let mut left = ALTERED.to_vec();
    while !left.is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let mut altered = Vec::new();
        left.retain(|(name, good, bad)| {
            let path = folder.path().join(name);
            let later = path.exists();
            if !later {
                fs::write(path, altered_text(name, |whole| whole.replacen(good, bad, 1))).unwrap();
                altered.push((*name, *bad));
            }
            later
        });
        let output = vectors(folder.path());
        assert_eq!(output.status.code(), Some(1), "{altered:?}: {}", text(&output));
        let lines = lines(&output);
        assert_eq!(begin(&lines, "PASSED OVER "), 0, "{altered:?}: {}", text(&output));
        for (name, bad) in altered {
            let told = lines.iter().any(|line| line.starts_with("MISMATCH ") && line.contains(name));
            assert!(told, "{name} {bad}: {}", text(&output));
        }
    }
}

#[test]
fn a_case_or_a_file_of_which_nothing_can_be_made_is_passed_over_and_ends_the_run_with_1() {
    for (name, edit) in [
        (
            "cose_sign1.json",
            (|whole| whole.replacen("cose_sign1_malleated", "cose_mac0", 1)) as fn(&str) -> String,
        ),
        ("cose_sign1.json", |whole| {
            whole.replacen("\"name\": \"value update", "\"title\": \"value update", 1)
        }),
        ("an10922.json", |whole| whole.replacen("\"aes192\"", "\"aes512\"", 1)),
        ("an10922.json", |whole| whole.replacen("\"div_input\"", "\"input\"", 1)),
        ("rfc4493_cmac.json", |whole| whole.replacen("\"msg\": \"6bc1", "\"msg\": \"6bcg", 1)),
        ("kcv.json", |whole| whole.split_at(700).0.to_owned()),
        ("key_components.json", |_| {
            "{\"scheme\": \"XOR key components with KCV\", \"vectors\": []}".to_owned()
        }),
    ] {
        let output = vectors(edited(name, edit).path());
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        let lines = lines(&output);
        assert!(begin(&lines, "PASSED OVER ") >= 1, "{name}: {}", text(&output));
        assert!(lines.last().unwrap().starts_with("total "), "{name}: {}", text(&output));
    }
}

#[test]
fn a_file_of_another_scheme_is_not_yet_run_and_said() {
    let output = vectors(edited("tr31_d.json", |whole| whole.replacen("version D", "version E", 1)).path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(begin(&lines(&output), "not yet "), 1, "{}", text(&output));
}

#[test]
fn where_there_is_nothing_to_run_the_program_ends_with_2_and_says_what_to_name() {
    let empty = tempfile::tempdir().unwrap();
    for folder in [empty.path().to_owned(), empty.path().join("none"), shared().join("kcv.json")] {
        let output = vectors(&folder);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.starts_with("vectors: ") && said.contains("tests/vectors"), "{said}");
        assert!(output.stdout.is_empty(), "{}", text(&output));
    }
    let output = Command::new(env!("CARGO_BIN_EXE_vectors")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
