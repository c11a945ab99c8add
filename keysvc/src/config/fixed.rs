//! The limits that no file sets, with their arithmetic: setting them would help nobody, or break the other half.
//!
//! Apart from the limits in `keysvc.toml` so that whoever asks what bounds the service reads one folder. Limits of what
//! travels outside are the protocol's; limits of how the store lies on disk stand beside its code.

use std::time::Duration;

/// Most calls in flight in the keeper; beyond it a call is answered `busy` at once. The front has at most
/// 1,024 + 32 connections with one request each, so only a fault of the front comes near.
pub const CALLS_MAX: usize = 4_096;
/// Most connections on the link at one time: the front's, its health listener's, those of a front that they replace,
/// and as many again.
pub const LINK_CONNECTIONS_MAX: usize = 8;
/// First wait before the front connects to the keeper again: a keeper that was restarted at once is met within a few.
pub const LINK_WAIT_MIN: Duration = Duration::from_millis(5);
/// Longest wait before connecting again: with the keeper's own start it stays well under 500 ms.
pub const LINK_WAIT_MAX: Duration = Duration::from_millis(200);
/// Above this many unwritten bytes the keeper takes no further calls: eight of the longest answers.
pub const LINK_UNWRITTEN_LEN_MAX: usize = 8 * 1024 * 1024;
/// A buffer of the link that grew beyond this is given back once it is empty, in bytes: a quarter of the longest answer.
pub const LINK_KEPT_LEN_MAX: usize = 256 * 1024;
/// Wait after a failed accept (no file descriptors left): long enough not to spin.
pub const ACCEPT_WAIT: Duration = Duration::from_millis(20);

/// Sockets that wait to be accepted: at 20 us each, 4,096 are accepted in 82 ms. Linux takes no more unless it is told.
pub const LISTEN_QUEUE_MAX: u32 = 4_096;
/// Handshakes take at most one part in so many of the processors' time: the rest is for whoever is in already.
pub const HANDSHAKES_PART: u32 = 2;
/// What a step of a handshake usually costs of one processor: a full one takes 0.4 ms in two steps.
pub const HANDSHAKE_STEP: Duration = Duration::from_micros(200);
/// So far handshakes may run ahead of their part: 25 of them on each processor, as when a site's stations are turned on.
pub const HANDSHAKES_AHEAD: Duration = Duration::from_millis(20);

/// Time for what is in flight when the front is stopped: under the 5 s after which the parent kills it.
pub const DRAIN: Duration = Duration::from_secs(2);
/// Thrown away after a refusal before the connection is cut, in bytes: what may be under way.
pub const LINGER_LEN_MAX: usize = 256 * 1024;
/// Time for closing a connection, throwing away included.
pub const LINGER: Duration = Duration::from_secs(1);
/// How often the front's counters are logged.
pub const COUNTERS_EVERY: Duration = Duration::from_mins(1);
/// How often the front looks whether certificate, key, CA or revocation lists have changed on disk. A dozen `stat` calls.
pub const FILES_LOOKED_AT_EVERY: Duration = Duration::from_mins(1);
/// The HTTP library's buffer for one connection, in bytes; more than the longest head, as it needs at least 8 KiB.
pub const HTTP_BUFFER_LEN_MAX: usize = 64 * 1024;
/// Longest certificate, key or revocation list file, in bytes: a list of 300,000 entries at 40 bytes, and a third more
/// for PEM.
pub const TLS_FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Connections of the health listener at one time: a few monitors, each with one; 8 KiB each when idle.
pub const HEALTH_CONNECTIONS_MAX: usize = 16;
/// Life of a connection to the health listener: it carries one request and its answer of some 40 KiB.
pub const HEALTH_CONNECTION_LIFE: Duration = Duration::from_secs(2);
/// The health listener's buffer for one connection, in bytes: the least that the HTTP library takes.
pub const HEALTH_BUFFER_LEN_MAX: usize = 8 * 1024;
/// How long the health listener waits for the keeper, which answers from memory in well under 1 ms: readiness is told
/// within 100 ms whatever the keeper does.
pub const HEALTH_KEEPER_WAIT: Duration = Duration::from_millis(80);
/// A token that gave no good answer for so long is said not to answer: the keeper asks it once a second.
pub const TOKEN_SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long a front that has no keeper waits before it says that it is up all the same: callers are then answered
/// `token_unavailable`, which is better than no answer.
pub const KEEPER_AWAITED_MAX: Duration = Duration::from_secs(5);

/// How many of the newest checkpoints are recognised byte for byte when a client shows one: at two commits a
/// millisecond, half a second of them; older ones are verified by their signature.
pub const CHECKPOINTS_RECOGNISED_MAX: usize = 1_024;
/// How long the end of the keeper waits for token calls in progress: a signature takes 0.1 ms on a fast token and 10 ms
/// on a slow one.
pub const TOKEN_CALLS_AWAITED_MAX: Duration = Duration::from_millis(200);
/// Connections to the store kept open for reading; more are made when needed and closed again.
pub const STORE_READERS_KEPT: usize = 4;
/// Refusals of one caller that get a leaf in one minute; beyond it they are counted.
pub const REFUSAL_LEAVES_A_MINUTE: u32 = 10;
/// Callers whose refusals are counted by name: 4,096 names of at most 64 bytes take about 0.5 MiB.
pub const REFUSED_CALLERS_MAX: usize = 4_096;
/// Heartbeats in the shorter of the founding's delays while something waits: boot time is witnessed from one to the next,
/// so a crash or a new start of the machine prolongs a delay by a 24th of it at most, one hour in 24.
pub const HEARTBEATS_A_DELAY: u64 = 24;
/// Shortest time between two heartbeats, in milliseconds: upkeep looks once a second.
pub const HEARTBEAT_MIN_MS: u64 = 1_000;
/// Longest time between two heartbeats while something waits, in milliseconds: 15 minutes, which are 96 leaves of some
/// 300 bytes a day and 672 in the 7 days of a key's destruction, 200 KiB.
pub const HEARTBEAT_MAX_MS: u64 = 15 * 60 * 1000;
/// Expired proposals that are closed in one second and one commit: all 1,024 that may be open are closed in 16 s.
pub const EXPIRED_AT_ONCE_MAX: usize = 64;
/// Imports of keys that run at one time: each holds a session of the token and up to three components of 97 bytes for 24
/// hours at most; a ceremony has one.
pub const IMPORTS_RUNNING_MAX: usize = 16;
/// Longest path of a Unix socket, in bytes: `sun_path` holds 108 with its end, and a few are left for temporary names.
pub const SOCKET_PATH_LEN_MAX: usize = 100;
