//! The keeper's side of the link: a private socket, one user allowed, one task for each call.

use super::{
    Answer, CALLS_MAX, Call,
    inbox::Inbox,
    outbox::{Company, Outbox},
};
use keysvc_protocol::refusal::Refusal;
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

/// Wait after a failed accept (no file descriptors left): long enough not to spin.
const ACCEPT_WAIT: Duration = Duration::from_millis(20);
/// Most connections at one time: one front and, for a moment, the one it replaces; the rest to spare.
const CONNECTIONS_MAX: usize = 8;

/// Listens at `listener_path` and answers calls with `handler`, each in a task of its own; ends only by a fault.
///
/// The socket is mode 0600 and its folder 0700 (made where missing). Where `allowed_uid` is another user than this
/// process's, they are 0660 and at most 0750 instead, for the group that both share. A socket that nobody listens
/// on is removed. A peer of another user than `allowed_uid` is closed at once.
///
/// # Errors
/// When the folder is open to others, another process listens there, or the socket cannot be made.
pub async fn serve<H, F>(listener_path: &Path, allowed_uid: u32, handler: H) -> io::Result<()>
where
    H: Fn(Call) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = listen(listener_path, allowed_uid)?;
    let room = Room {
        calls: Arc::new(Semaphore::new(CALLS_MAX)),
        connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
    };
    tracing::info!(path = %listener_path.display(), "listening for the front");
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "a front could not be accepted");
                sleep(ACCEPT_WAIT).await;
                continue;
            }
        };
        match socket.peer_cred() {
            Ok(peer) if peer.uid() == allowed_uid => {}
            Ok(peer) => {
                tracing::error!(uid = peer.uid(), allowed_uid, "a process of another user tried the link");
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "the user of a peer on the link is unknown");
                continue;
            }
        }
        let Ok(permit) = Arc::clone(&room.connections).try_acquire_owned() else {
            tracing::error!("too many connections on the link");
            continue;
        };
        tokio::spawn(carry(Arc::new(socket), handler.clone(), Arc::clone(&room.calls), permit));
    }
}

struct Room {
    calls: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

fn listen(path: &Path, allowed_uid: u32) -> io::Result<UnixListener> {
    let shared = allowed_uid != rustix::process::getuid().as_raw();
    let (socket_mode, others_mask) = if shared { (0o660, 0o027) } else { (0o600, 0o077) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & others_mask != 0 {
        let wanted = 0o777 & !others_mask;
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the folder {} of the link is open to others; chmod {wanted:o} it", folder.display()),
        ));
    }
    remove_stale(path)?;
    // Between the two calls the folder's mode guards the socket.
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(socket_mode))?;
    Ok(listener)
}

/// Removes what a keeper that was killed left behind, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} is not a socket", path.display()),
            ));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another keeper listens at {}", path.display()),
        )),
    }
}

async fn carry<H, F>(
    socket: Arc<UnixStream>,
    handler: H,
    calls: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
) where
    H: Fn(Call) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let outbox = Arc::new(Outbox::new(Arc::clone(&socket)));
    let answers = Arc::clone(&outbox);
    let read = async move {
        let mut inbox = Inbox::new(socket);
        while let Some(numbered) = inbox.next::<Call>().await? {
            // A front that sends but does not read is not read either.
            answers.room().await;
            admit(numbered, &handler, &calls, &answers);
        }
        Ok::<_, io::Error>(())
    };
    let ended = tokio::select! {
        ended = read => ended,
        ended = outbox.write_all() => ended,
    };
    outbox.close();
    match ended {
        Ok(()) => tracing::info!("the front has closed the link"),
        Err(error) => tracing::error!(%error, "the link to the front failed"),
    }
}

/// Starts a task for the call, or answers `busy` when there are too many.
fn admit<H, F>((number, call): (u64, Call), handler: &H, calls: &Arc<Semaphore>, outbox: &Arc<Outbox>)
where
    H: Fn(Call) -> F,
    F: Future<Output = Answer> + Send + 'static,
{
    let request_id = call.request_id;
    let Ok(permit) = Arc::clone(calls).try_acquire_owned() else {
        // A closed outbox has nobody to tell; a refusal is never too long.
        let _ = outbox.send(number, &Answer::refusal(Refusal::Busy, request_id), Company::Others);
        return;
    };
    let (answer, calls, outbox) = (handler(call), Arc::clone(calls), Arc::clone(outbox));
    tokio::spawn(async move {
        let answer = answer.await.fitting(request_id);
        let others = calls.available_permits().saturating_add(1) < CALLS_MAX;
        let company = if others { Company::Others } else { Company::Alone };
        // A closed outbox has nobody to tell, and a fitting answer is not too long.
        let _ = outbox.send(number, &answer, company);
        drop(permit);
    });
}
