//! The keeper's socket: who may use it, what may be sent on it, and where it may lie.

use crate::kit::{Ground, Keeper, LONG};
use keysvc::link::{Answer, Call, Look, listen};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

async fn echo(call: Call) -> Answer {
    Answer::reply(call.body)
}

/// A keeper's side of the link at `path`; gives why it cannot listen.
async fn serve(path: &Path, allowed_uid: u32) -> io::Result<()> {
    let look = |look: Look| Answer::reply(format!("{look:?}"));
    listen(path, allowed_uid)?.serve(echo, look).await;
    Ok(())
}

/// Why a keeper cannot listen at `path`.
async fn refused(path: &Path) -> io::Error {
    timeout(LONG, serve(path, own_uid())).await.expect("an end").unwrap_err()
}

async fn connected(path: &Path) -> UnixStream {
    let connecting = async {
        loop {
            if let Ok(socket) = UnixStream::connect(path).await {
                return socket;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, connecting).await.expect("a listener")
}

async fn is_closed(mut socket: UnixStream) -> bool {
    matches!(timeout(LONG, socket.read(&mut [0; 1])).await.expect("an end"), Ok(0) | Err(_))
}

fn private(folder: &TempDir) -> PathBuf {
    folder.path().join("link/keeper.sock")
}

#[tokio::test]
async fn the_socket_and_its_folder_are_private() {
    let folder = TempDir::new().unwrap();
    let path = private(&folder);
    let listening = tokio::spawn({
        let path = path.clone();
        async move { serve(&path, own_uid()).await }
    });
    drop(connected(&path).await);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    listening.abort();
}

#[tokio::test]
async fn a_process_of_another_user_is_closed_at_once() {
    let folder = TempDir::new().unwrap();
    let path = private(&folder);
    // This process is the other user: the keeper expects the next one.
    let listening = tokio::spawn({
        let path = path.clone();
        async move { serve(&path, own_uid() + 1).await }
    });
    assert!(is_closed(connected(&path).await).await);
    listening.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_over_the_limit_or_no_frame_closes_the_link_and_no_other() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    let too_long = [&(2 * 1024 * 1024_u32).to_le_bytes()[..], &[0; 8]].concat();
    let unknown = [&60_u32.to_le_bytes()[..], &[0; 8], &[0xff; 60]].concat();
    for bytes in [too_long, unknown] {
        let mut socket = connected(&ground.socket()).await;
        socket.write_all(&bytes).await.unwrap();
        assert!(is_closed(socket).await);
    }
    assert_eq!(client.call("status", b"x").await.body, b"x");
}

#[tokio::test]
async fn a_folder_open_to_others_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let error = refused(&folder.path().join("keeper.sock")).await;
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("chmod 700"), "{error}");
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_anything_else_is_kept() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("keeper.sock");
    // Dropping a listener leaves its socket, as a kill does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listening = tokio::spawn({
        let path = path.clone();
        async move { serve(&path, own_uid()).await }
    });
    drop(connected(&path).await);
    assert_eq!(refused(&path).await.kind(), io::ErrorKind::AddrInUse);
    listening.abort();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    assert_eq!(refused(&file).await.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}
