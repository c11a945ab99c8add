//! The floor: what the same calls cost on the token alone, with nothing around them.

use crate::{
    crew::Worker,
    order::{Measured, Order, Work},
    tally::{Tally, Watch},
    while_doing,
};
use keysvc_tests::ground::Failed;
use keysvc_token::{
    DiversificationInput, KeyKind, MasterKey, ObjectId, Pin, SigningKey, Token, TokenConfig, TokenError,
    TransportKey, initialise_token,
};
use std::{
    path::Path,
    sync::Barrier,
    time::{Duration, Instant},
};

/// The label of the scratch token.
const LABEL: &str = "load";
/// Its PIN and its officer's: it holds nothing of worth and lives for one run.
const PIN: &str = "582941";

/// The keys of a scratch token.
pub struct Floor {
    signing: SigningKey,
    master: MasterKey,
    transport: TransportKey,
}

impl Floor {
    /// Makes the token that `SOFTHSM2_CONF` names, with its keys.
    ///
    /// # Errors
    /// [`Failed`] when the token fails.
    pub fn new(module: &Path) -> Result<Self, Failed> {
        Self::make(module).map_err(while_doing("the scratch token"))
    }

    fn make(module: &Path) -> Result<Self, TokenError> {
        let pin = || Pin::new(PIN.to_owned());
        initialise_token(module, LABEL, &pin(), &pin())?;
        let config = TokenConfig { module: module.to_owned(), label: LABEL.to_owned() };
        let token = Token::open(&config, &pin())?;
        let [signing, master] = [1, 2].map(|number| ObjectId([number; 16]));
        token.generate(KeyKind::ValueSigning, signing, "signing")?;
        token.generate(KeyKind::CardMaster, master, "master")?;
        Ok(Self {
            signing: token.signing_key(KeyKind::ValueSigning, signing)?,
            master: token.master_key(KeyKind::CardMaster, master)?,
            transport: TransportKey::generate(&token)?,
        })
    }

    fn act(&self, work: Work, number: u64) -> Result<(), TokenError> {
        // As many bytes as the demo profile's input: identifier, application, numbers and system.
        let mut input = [0; 32];
        input.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        if work == Work::RawSign {
            return self.signing.sign(&input).map(drop);
        }
        let input = input.first_chunk::<18>().map(|input| DiversificationInput::try_from(input.as_slice()));
        let Some(Ok(input)) = input else { return Ok(()) };
        let key = self.master.derive(&input)?;
        key.check_value()?;
        // Destroyed where it is dropped, at the end.
        self.transport.wrap(&key).map(drop)
    }
}

impl Worker for Floor {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        // The threads stand at the barrier when CPU is looked at: a thread that has ended is not counted, and one
        // that runs is counted late.
        let barrier = Barrier::new(order.parallel.saturating_add(1));
        let (floor, barrier) = (&*self, &barrier);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..order.parallel)
                .map(|_| {
                    scope.spawn(move || {
                        // Opens this thread's session.
                        let first = floor.act(order.work, 0);
                        barrier.wait();
                        let done = first.and_then(|()| floor.until(order));
                        barrier.wait();
                        barrier.wait();
                        done
                    })
                })
                .collect();
            barrier.wait();
            let watch = Watch::start(None);
            barrier.wait();
            let stopped = watch.and_then(|watch| {
                watch.stop(|| {
                    barrier.wait();
                    threads
                        .into_iter()
                        .filter_map(|thread| thread.join().ok())
                        .filter_map(Result::ok)
                        .collect()
                })
            })?;
            if stopped.operations == 0 {
                Err(Failed(format!("{order}: the token failed")))
            } else {
                Ok(stopped)
            }
        })
    }
}

impl Floor {
    fn until(&self, order: Order) -> Result<Tally, TokenError> {
        let mut tally = Tally::default();
        let began = Instant::now();
        let length = Duration::from_millis(order.millis);
        while began.elapsed() < length {
            let call = Instant::now();
            self.act(order.work, tally.operations)?;
            tally.count(1, call);
        }
        Ok(tally)
    }
}
