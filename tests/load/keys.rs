//! Fills a token with recorded keys: storage keys of jobs, each with the data key under it, as a keeper makes them when a
//! job's first item comes.
//!
//! A process of its own, because the token is the service's. A token with objects that no intent announced is refused at
//! the start, so what fills one must be recorded; and these are the keys that grow in number by themselves. The jobs they
//! are named after are none: nothing asks for them.

use crate::while_doing;
use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::Sequencer,
        start::{install_seals, open_store},
        storage::Storage,
    },
};
use keysvc_protocol::name::Name;
use keysvc_tests::{ground::Failed, jobs::now_ms};
use keysvc_token::Token;
use std::path::Path;

/// Makes so many storage keys in the service that `file` configures, which is not running.
///
/// # Errors
/// [`Failed`] when one of them is not made.
pub fn run(file: &Path, keys: u64) -> Result<(), Failed> {
    let config = Config::read(file).map_err(while_doing("the service's configuration"))?;
    let token = open_token(&config).map_err(while_doing("the service's token"))?;
    let (sequencer, _reader) = open_store(&config).map_err(while_doing("the store"))?;
    install_seals(&config, &token, &sequencer).map_err(while_doing("the data keys"))?;
    sequencer.restore_control().map_err(while_doing("what officers decided"))?;
    let made = make(&config, &token, &sequencer, keys);
    sequencer.close();
    made
}

fn make(config: &Config, token: &Token, sequencer: &Sequencer, keys: u64) -> Result<(), Failed> {
    // Without the folder, whose files are synced once and not for each key: nobody relies on a key before the end.
    let storage = Storage { token, token_folder: None, store: &config.keeper.store };
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(while_doing("the runtime"))?;
    for number in 0..keys {
        let job: Name = format!("load-{number}").parse().map_err(while_doing("a job's name"))?;
        runtime
            .block_on(storage.open_job(sequencer, &job, now_ms()))
            .map_err(while_doing("a storage key"))?;
    }
    let storage = Storage { token_folder: config.token.folder.as_deref(), ..storage };
    storage.sync().map_err(while_doing("the token's folder"))
}
