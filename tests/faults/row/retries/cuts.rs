//! The client library behind a network that cuts its connection at one byte of the request or of the answer: whatever it
//! repeats, each update is made once, and it is what the client releases.

use crate::trial::Found;
use keysvc_client::{ClientConfig, Terminal, terminal::SignedUpdate};
use keysvc_tests::{
    cut::{Network, Way},
    ground::Ground,
    tills::next_update,
};
use std::fs;

/// The card, and one for what is learned of lengths.
const CARD: &str = "04112233445566cccccc";

/// Cuts `count` connections, half of them on each way, at bytes that are spread over the whole message; gives the records.
pub(super) fn run(ground: &Ground, count: u64, found: &mut Found, tell: impl Fn(&Found)) -> Vec<Vec<u8>> {
    let network = Network::before(ground.site().port());
    let config = behind(ground, &network);
    let mut records = Vec::new();
    ground.block_on(async {
        let terminal = Terminal::connect(&config).await.unwrap();
        let mut last: Option<SignedUpdate> = None;
        // Twice without a cut: the first may open a connection, the second shows how long request and answer are.
        let mut len = (0, 0);
        for _ in 0..2 {
            let before = network.passed();
            let update = terminal.update(&next_update(CARD, last.as_ref())).await.unwrap();
            let after = network.passed();
            len = (after.0 - before.0, after.1 - before.1);
            records.push(update.record.clone());
            last = Some(update);
        }
        let each = (count / 2).max(1);
        let places = |len: u64| (0..each).map(move |number| number * len / each);
        let cuts = places(len.0).map(|at| (Way::There, at)).chain(places(len.1).map(|at| (Way::Back, at)));
        for (way, at) in cuts {
            let request = next_update(CARD, last.as_ref());
            network.cut_after(way, at);
            let update = match terminal.update(&request).await {
                Ok(update) => update,
                Err(error) => {
                    found.count(Err(format!("cut {way:?} at {at}: {error}")));
                    break;
                }
            };
            let kept = !network.cut_no_more();
            // And once more, whole: the same update.
            let again = terminal.update(&request).await.unwrap();
            let held = again.update == update.update && again.leaf_index == update.leaf_index;
            found.count(match (kept, held) {
                (true, true) => Ok(()),
                (false, _) => Err(format!("not cut {way:?} at {at}")),
                (_, false) => Err(format!("cut {way:?} at {at}: its repetition is another update")),
            });
            records.extend([update.record.clone(), again.record]);
            last = Some(update);
            tell(found);
        }
        found.figure(
            "connections cut",
            format!("{each} in {} bytes of the request, {each} in {} of the answer", len.0, len.1),
        );
    });
    records
}

/// A terminal whose way to the service is this network.
fn behind(ground: &Ground, network: &Network) -> ClientConfig {
    let mut config = ground.config("terminal-1");
    config.endpoints = vec![network.endpoint()];
    config.state = config.state.with_file_name("state-cut");
    fs::create_dir(&config.state).unwrap();
    config
}
