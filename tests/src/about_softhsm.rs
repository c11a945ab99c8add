//! The tests that are about `SoftHSM`'s own files, and so prove nothing where the service's token is on another module.
//!
//! One list, so that a run on another module says what it passed over and why. Whatever a service promises of its token
//! is no matter of files, and its tests run on every module.

use crate::ground::SERVICE_MODULE_VARIABLE;
use softhsm_setup::ModuleKind;
use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
};

/// A test that runs on `SoftHSM` alone.
#[derive(Debug)]
pub struct AboutSoftHsm {
    /// The program, a file under `tests/tests`.
    pub program: &'static str,
    /// The test.
    pub test: &'static str,
    /// Why it is about `SoftHSM`.
    pub why: &'static str,
}

/// One attribute of a key is altered in the object's file.
const DRIFTS: &str = "it alters an object's file, which is SoftHSM's own format";
/// The folder of the token is moved away from a running keeper.
const MOVES: &str =
    "it takes the token away by moving its folder: a module that keeps its file open still has it";

const fn about(program: &'static str, test: &'static str, why: &'static str) -> AboutSoftHsm {
    AboutSoftHsm { program, test, why }
}

/// All of them.
pub const ABOUT_SOFTHSM: [AboutSoftHsm; 18] = [
    about("doctor", "a_drifted_attribute_and_a_missing_key_are_named", DRIFTS),
    about("health", "while_the_token_is_away_readiness_says_so_and_its_faults_are_counted_by_class", MOVES),
    about(
        "recovery",
        "a_token_that_is_away_for_three_seconds_under_load_is_refused_at_once_and_served_once_it_is_back",
        MOVES,
    ),
    about("recovery", "a_token_that_vanishes_at_any_moment_of_a_start_is_waited_for", MOVES),
    about("recovery", "another_token_is_named_its_pin_is_not_tried_and_the_right_one_serves_again", MOVES),
    about("startup", "a_card_master_with_any_attribute_of_the_key_table_flipped_is_named", DRIFTS),
    about("startup", "a_pair_with_any_attribute_of_the_key_table_flipped_is_named", DRIFTS),
    about("startup", "a_storage_key_with_any_attribute_of_the_key_table_flipped_is_named", DRIFTS),
    about("startup", "the_private_half_of_each_pair_is_looked_at", DRIFTS),
    about("startup", "a_damaged_object_keeps_the_keeper_from_serving", DRIFTS),
    about("startup", "a_key_of_another_length_or_type_is_named", DRIFTS),
    about("startup", "a_missing_key_is_named", DRIFTS),
    about("startup", "a_missing_storage_key_keeps_the_keeper_from_serving", DRIFTS),
    about("startup", "another_key_under_a_keys_identifier_shows_by_its_check_value", DRIFTS),
    about("startup", "a_checkpoint_keys_private_half_that_is_anothers_keeps_the_keeper_from_serving", DRIFTS),
    about("startup", "what_a_value_key_signs_with_anothers_private_half_is_never_released", DRIFTS),
    about("startup", "an_object_that_no_intent_announced_is_named", DRIFTS),
    about("startup", "a_second_object_with_a_keys_identifier_is_named", DRIFTS),
];

/// Whether this test is passed over, because the service's token is on another module. Says so.
///
/// # Panics
/// When the test is not on the list.
#[must_use]
pub fn passed_over(test: &str) -> bool {
    let listed = ABOUT_SOFTHSM.iter().find(|one| one.test == test);
    let AboutSoftHsm { program, why, .. } = listed.expect("the list has the test");
    let Some(module) = env::var_os(SERVICE_MODULE_VARIABLE).map(PathBuf::from) else { return false };
    if ModuleKind::of(&module) == Some(ModuleKind::SoftHsm) {
        return false;
    }
    // Where stderr is gone, nobody is left to be told.
    let _ = writeln!(io::stderr(), "!!! NOT RUN on {}: {program} {test}: {why}", module.display());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn each_test_on_the_list_is_there_and_asks_and_no_other_asks() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
        for AboutSoftHsm { program, test, why } in &ABOUT_SOFTHSM {
            let text = fs::read_to_string(folder.join(format!("{program}.rs"))).unwrap();
            // However long lines are broken.
            let text: String = text.split_whitespace().collect();
            let head = format!("fn{test}(){{ifpassed_over(\"{test}\"");
            assert!(text.contains(&head), "{program} {test}");
            assert!(!why.is_empty());
        }
        let programs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let texts = programs.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
        let asked: usize = texts.map(|text| text.matches("if passed_over(").count()).sum();
        assert_eq!(asked, ABOUT_SOFTHSM.len());
    }
}
