//! The storage key of a job: each job's data lie under its own, and wherever its destruction is broken off it is made
//! whole when it is asked again.

use keysvc::{
    config::Config,
    error::Fault,
    keeper::{
        founding::{open_token, storage},
        ledger::{DataKeys, Reader, Sequencer, store_files},
        start::{compare_token, install_seals, open_store},
        storage::{Storage, name_of_job},
    },
};
use keysvc_protocol::{
    key::{KeyKind, KeyRecord, KeyState},
    leaf::{KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
    name::Name,
};
use keysvc_tests::{
    ground::{Ground, text},
    raw,
};
use keysvc_token::{KeyKind as TokenKind, ObjectId, Token};
use softhsm_setup::Site;
use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// How far a job's destruction came before the keeper was killed.
const JOBS: [&str; 4] = ["job-whole", "job-without-data-key", "job-without-keys", "job-destroyed"];
/// The job whose destruction nobody asks again before the service starts.
const LEFT: &str = "job-left";

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A keeper's means, as at its start.
struct Means {
    config: Config,
    token: Token,
    sequencer: Sequencer,
    reader: Reader,
}

impl Means {
    fn opened(config: Config, token: Token) -> Result<Self, Fault> {
        let (sequencer, reader) = open_store(&config)?;
        compare_token((&token, &token.hold_inventory()?), &reader.keys()?, &reader)?;
        install_seals(&config, &token, &sequencer)?;
        sequencer.restore_control()?;
        Ok(Self { config, token, sequencer, reader })
    }

    /// The next start after a kill.
    fn again(self) -> Result<Self, Fault> {
        self.sequencer.close();
        Self::opened(self.config, self.token)
    }

    fn storage(&self) -> Storage<'_> {
        storage(&self.config, &self.token)
    }

    fn record(&self, job: &str) -> KeyRecord {
        let name = name_of_job(&name(job)).unwrap();
        self.reader.keys().unwrap().into_iter().find(|key| key.name == name).unwrap()
    }

    fn data_keys(&self) -> DataKeys {
        DataKeys::open(&self.config.keeper.store).unwrap()
    }

    /// The wrapped data key of a job.
    fn wrapped(&self, job: &str) -> Option<[u8; 40]> {
        let id = self.record(job).id;
        self.data_keys().all().unwrap().into_iter().find(|row| row.storage_key == id).map(|row| row.wrapped)
    }

    fn destroy_in_token(&self, job: &str) {
        self.token.destroy(TokenKind::Storage, ObjectId(*self.record(job).id.as_bytes())).unwrap();
    }

    async fn destroy(&self, job: &str) -> usize {
        let intent = self.reader.head().size - 1;
        self.storage().destroy_job(&self.sequencer, &name(job), intent).await.unwrap().len()
    }
}

fn lies_in_store(store: &Path, bytes: &[u8; 40]) -> bool {
    let files = store_files(store).into_iter().filter_map(|file| fs::read(file).ok());
    files.into_iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

/// Makes the jobs' keys, breaks each destruction off at another place, starts, and asks for all of them again.
async fn break_off_and_ask_again(site: &Site) {
    let config = Config::read(&site.service_config()).unwrap();
    let store = config.keeper.store.clone();
    let token = open_token(&config).unwrap();
    let means = Means::opened(config, token).unwrap();
    for job in JOBS.into_iter().chain([LEFT]) {
        let made = means.storage().open_job(&means.sequencer, &name(job), now_ms()).await.unwrap();
        assert_eq!(made.len(), 2, "intent and outcome");
        assert!(means.sequencer.has_job(&name(job)));
        // What is there is found.
        let (record, settled) =
            means.storage().make_job(&means.sequencer, &name(job), now_ms()).await.unwrap();
        assert_eq!((record, settled.len()), (means.record(job), 0));
    }
    let means = means.again().unwrap();
    let wrapped = JOBS.map(|job| means.wrapped(job).unwrap());
    assert!(wrapped.iter().all(|bytes| lies_in_store(&store, bytes)));

    let [_, without_data_key, without_keys, destroyed] = JOBS;
    for job in [without_data_key, without_keys, LEFT] {
        means.data_keys().erase(&means.record(job).id).unwrap();
    }
    means.destroy_in_token(without_keys);
    means.destroy_in_token(LEFT);
    // Two at once: one outcome, and no fault.
    let (one, other) = tokio::join!(means.destroy(destroyed), means.destroy(destroyed));
    assert!(one + other >= 1);

    // No start takes a job's key for missing whose data key is gone, and each destruction is made whole.
    let means = means.again().unwrap();
    for (job, (wrapped, outcomes)) in JOBS.into_iter().zip(wrapped.iter().zip([1, 1, 1, 0])) {
        assert_eq!(means.destroy(job).await, outcomes, "{job}");
        assert_eq!(means.destroy(job).await, 0, "{job}");
        assert_eq!(means.record(job).state, KeyState::Destroyed, "{job}");
        assert!(!means.sequencer.has_job(&name(job)), "{job}");
        assert!(!lies_in_store(&store, wrapped), "{job}");
        let id = ObjectId(*means.record(job).id.as_bytes());
        assert!(means.token.inventory().unwrap().iter().all(|object| object.id != Some(id)), "{job}");
        let made = means.storage().make_job(&means.sequencer, &name(job), now_ms()).await;
        assert!(made.is_err_and(|fault| !fault.is_fatal()), "{job}");
    }
    // A job that never had data has nothing to destroy.
    assert_eq!(means.destroy("job-of-nothing").await, 0);
    assert_eq!(means.record(LEFT).state, KeyState::Active);
    means.again().unwrap().sequencer.close();
}

fn child(site: &Site, body: impl Future<Output = ()>) {
    assert!(site.service_config().exists());
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

#[test]
fn a_jobs_destruction_broken_off_anywhere_is_made_whole_when_it_is_asked_again() {
    let test = "a_jobs_destruction_broken_off_anywhere_is_made_whole_when_it_is_asked_again";
    let body = |site: &Site, _: &str| child(site, break_off_and_ask_again(site));
    let Some(mut ground) = raw::with_tokens(test, &["service"], Ground::founded, body) else { return };
    let doctor = ground.keysvc(&["doctor"]).output().unwrap();
    assert!(doctor.status.success(), "{}", text(&doctor));
    assert!(text(&doctor).contains("(operational 1, incident 0, jobs 0)"), "{}", text(&doctor));
    ground.start().unwrap();
    let leaves = raw::leaves(&ground);
    let gone = raw::of_kind::<KeyDestroyedLeaf>(&leaves, LeafKind::KeyDestroyed);
    let mut gone: Vec<_> = gone.into_iter().map(|leaf| leaf.name.to_string()).collect();
    gone.sort();
    let mut all = JOBS.map(|job| name_of_job(&name(job)).unwrap().to_string());
    all.sort();
    assert_eq!(gone, all);
    let log = fs::read_to_string(ground.log()).unwrap();
    let told = |line: &str| {
        line.contains("the purge of a job was interrupted: its storage key is gone") && line.contains(LEFT)
    };
    assert!(log.lines().any(told), "{log}");
}

async fn lose_a_key(site: &Site) {
    let config = Config::read(&site.service_config()).unwrap();
    let token = open_token(&config).unwrap();
    let means = Means::opened(config, token).unwrap();
    means.storage().open_job(&means.sequencer, &name(LEFT), now_ms()).await.unwrap();
    means.destroy_in_token(LEFT);
    means.sequencer.close();
}

#[test]
fn a_jobs_storage_key_that_is_missing_while_its_data_key_is_there_keeps_the_service_from_serving() {
    let test =
        "a_jobs_storage_key_that_is_missing_while_its_data_key_is_there_keeps_the_service_from_serving";
    let body = |site: &Site, _: &str| child(site, lose_a_key(site));
    let Some(mut ground) = raw::with_tokens(test, &["service"], Ground::founded, body) else { return };
    let refused = ground.start().unwrap_err().to_string();
    let log = fs::read_to_string(ground.log()).unwrap();
    assert!(
        log.contains("the key storage.job.job-left") && log.contains("is missing from the token"),
        "{refused}\n{log}"
    );
}

#[test]
fn incidents_have_a_storage_key_of_their_own_each_month_made_at_the_first_start() {
    let ground = Ground::new();
    let leaves = raw::leaves(&ground);
    let intents = raw::of_kind::<KeyIntentLeaf>(&leaves, LeafKind::KeyIntent);
    let made = raw::of_kind::<KeyOutcomeLeaf>(&leaves, LeafKind::KeyOutcome);
    let [key] = &made.iter().map(|leaf| &leaf.key).collect::<Vec<_>>()[..] else { panic!("{made:?}") };
    assert!(key.name.as_str().starts_with("storage.incident."), "{}", key.name);
    assert_eq!((key.kind, key.state, intents.len()), (KeyKind::Storage, KeyState::Active, 1));
}
