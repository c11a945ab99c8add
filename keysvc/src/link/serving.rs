//! The keeper's side of the link: a private socket, one user allowed, one task for each call.

use super::{
    Answer, Asked, Call, Look,
    inbox::Inbox,
    outbox::{Company, Outbox},
};
use crate::{
    config::fixed::{ACCEPT_WAIT, CALLS_MAX, LINK_CONNECTIONS_MAX},
    metrics::kind_of,
};
use keysvc_protocol::refusal::Refusal;
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

/// A keeper's side of the link that listens already.
#[derive(Debug)]
pub struct Listening {
    listener: UnixListener,
    allowed_uid: u32,
}

/// Listens at `listener_path` for the front, whose user is `allowed_uid`. To be called within a tokio runtime.
///
/// The socket is mode 0600 and its folder 0700 (made where missing). Where `allowed_uid` is another user than this
/// process's, they are 0660 and at most 0750 instead, for the group that both share. A socket that nobody listens
/// on is removed. A peer of another user than `allowed_uid` is closed at once.
///
/// # Errors
/// When the folder is open to others, another process listens there, or the socket cannot be made.
pub fn listen(listener_path: &Path, allowed_uid: u32) -> io::Result<Listening> {
    let listener = bind(listener_path, allowed_uid)?;
    tracing::info!(path = %listener_path.display(), "listening for the front");
    Ok(Listening { listener, allowed_uid })
}

impl Listening {
    /// Answers calls with `handler`, each in a task of its own, and looks with `look`, at once. Never ends.
    pub async fn serve<H, F, L>(self, handler: H, look: L)
    where
        H: Fn(Call) -> F + Clone + Send + 'static,
        F: Future<Output = Answer> + Send + 'static,
        L: Fn(Look) -> Answer + Clone + Send + 'static,
    {
        let connections = Arc::new(Semaphore::new(LINK_CONNECTIONS_MAX));
        let calls = Arc::new(Semaphore::new(CALLS_MAX));
        loop {
            let socket = match self.listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "a front could not be accepted");
                    sleep(ACCEPT_WAIT).await;
                    continue;
                }
            };
            if !self.is_the_front(&socket) {
                continue;
            }
            let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
                tracing::error!("too many connections on the link");
                continue;
            };
            let desk = Desk { handler: handler.clone(), look: look.clone(), calls: Arc::clone(&calls) };
            tokio::spawn(carry(Arc::new(socket), desk, permit));
        }
    }

    fn is_the_front(&self, socket: &UnixStream) -> bool {
        let allowed_uid = self.allowed_uid;
        match socket.peer_cred() {
            Ok(peer) if peer.uid() == allowed_uid => return true,
            Ok(peer) => {
                tracing::error!(uid = peer.uid(), allowed_uid, "a process of another user tried the link");
            }
            Err(error) => tracing::error!(%error, "the user of a peer on the link is unknown"),
        }
        false
    }
}

/// Who answers on one connection.
struct Desk<H, L> {
    handler: H,
    look: L,
    calls: Arc<Semaphore>,
}

fn bind(path: &Path, allowed_uid: u32) -> io::Result<UnixListener> {
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

async fn carry<H, F, L>(socket: Arc<UnixStream>, desk: Desk<H, L>, _permit: OwnedSemaphorePermit)
where
    H: Fn(Call) -> F + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
    L: Fn(Look) -> Answer + Send + 'static,
{
    let outbox = Arc::new(Outbox::new(Arc::clone(&socket)));
    let answers = Arc::clone(&outbox);
    let read = async move {
        let mut inbox = Inbox::new(socket);
        while let Some((number, asked)) = inbox.next::<Asked>().await? {
            // A front that sends but does not read is not read either.
            answers.room().await;
            match asked {
                Asked::Call(call) => admit((number, call), &desk.handler, &desk.calls, &answers),
                // A closed outbox has nobody to tell, and a look's answer is short.
                Asked::Look(look) => drop(answers.send(number, &(desk.look)(look), Company::Alone)),
            }
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
        let (operation, refusal) = (call.operation.name(), Refusal::Busy);
        tracing::debug!(%request_id, operation, refusal = refusal.number(), name = kind_of(&refusal), "refused");
        // A closed outbox has nobody to tell; a refusal is never too long.
        let _ = outbox.send(number, &Answer::refusal(refusal, request_id), Company::Others);
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
