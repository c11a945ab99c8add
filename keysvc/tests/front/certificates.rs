//! Whose certificate opens a connection, and whose name is heard.

use crate::kit::{Client, Ground, Keeper, TERMINAL, client_config, connect, request, settings};
use keysvc::front::{Front, FrontFault, FrontLimits};
use keysvc_protocol::{bytes::Digest, hash::sha256, refusal::Refusal, request::Operation};
use rcgen::{
    CertificateRevocationListParams, ExtendedKeyUsagePurpose, KeyIdMethod, RevocationReason,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::AlertDescription;
use std::{fs, io, os::unix::fs::PermissionsExt as _};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use x509_parser::prelude::FromDer as _;

/// The alert with which the server refused the client's certificate. TLS 1.3 clients learn it on their first read.
async fn refused_with(client: io::Result<Client>) -> AlertDescription {
    let error = match client {
        Ok(mut client) => {
            // Writing may fail already.
            let _ = client.stream.write_all(&request("status", b"")).await;
            client.try_response().await.unwrap_err()
        }
        Err(error) => error,
    };
    let alert = match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
        _ => None,
    };
    alert.expect("an alert")
}

fn key_digest(certificate: &[u8]) -> Digest {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(certificate).unwrap();
    sha256(&[certificate.public_key().raw])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_a_good_certificate_reaches_the_keeper_with_its_name_and_key() {
    let ground = Ground::new().await;
    let mut keeper = Keeper::start(&ground);
    let identity = ground.authority.client(&[TERMINAL]);
    let mut client = ground.connect(&identity).await;
    client.wait_until_served().await;
    let response = client.call("value.update", b"\xa0").await;
    assert_eq!((response.status, response.body.as_slice()), (200, &b"\xa0"[..]));
    assert!(response.head.contains("content-type: application/cbor"));
    let call = keeper.next_call(Operation::ValueUpdate).await;
    assert_eq!(call.peer.uri, TERMINAL);
    assert_eq!(call.peer.key_digest, key_digest(&identity.certificate));
    assert_eq!(call.body.as_ref(), b"\xa0");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let ground = Ground::new().await;
    let client = ground.try_connect(None).await;
    assert_eq!(refused_with(client).await, AlertDescription::CertificateRequired);
    assert_eq!((ground.counters.handshakes_failed(), ground.counters.requests()), (1, 0));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let ground = Ground::new().await;
    // The same name, another key.
    let other = crate::kit::Authority::new("demo authority");
    let client = ground.try_connect(Some(&other.client(&[TERMINAL]))).await;
    assert_eq!(refused_with(client).await, AlertDescription::DecryptError);
    let other = crate::kit::Authority::new("another authority");
    let client = ground.try_connect(Some(&other.client(&[TERMINAL]))).await;
    assert_eq!(refused_with(client).await, AlertDescription::UnknownCA);
}

#[tokio::test]
async fn a_certificate_out_of_its_time_or_for_servers_is_refused() {
    let ground = Ground::new().await;
    let expired = ground.authority.client_with(&[TERMINAL], |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let client = ground.try_connect(Some(&expired)).await;
    assert_eq!(refused_with(client).await, AlertDescription::CertificateExpired);
    let future = ground.authority.client_with(&[TERMINAL], |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
    });
    let client = ground.try_connect(Some(&future)).await;
    assert_eq!(refused_with(client).await, AlertDescription::CertificateExpired);
    let server = ground.authority.client_with(&[TERMINAL], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let client = ground.try_connect(Some(&server)).await;
    assert_eq!(refused_with(client).await, AlertDescription::UnsupportedCertificate);
}

#[tokio::test]
async fn a_tls_1_2_client_is_refused() {
    let ground = Ground::new().await;
    let mut socket = TcpStream::connect(ground.address).await.unwrap();
    // A ClientHello of version 3.3 without supported_versions, one suite (c02b), P-256 and ecdsa_secp256r1_sha256.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    let mut hello = vec![3, 3];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 16]);
    hello.extend_from_slice(&extensions);
    let len = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, len + 4, 1, 0, 0, len];
    record.extend_from_slice(&hello);
    socket.write_all(&record).await.unwrap();
    let mut alert = Vec::new();
    socket.read_to_end(&mut alert).await.unwrap();
    // A fatal alert (2), protocol_version (70).
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 70]);
}

#[tokio::test]
async fn a_client_that_speaks_only_http_2_is_refused() {
    let ground = Ground::new().await;
    let mut config = client_config(&ground.authority, Some(&ground.authority.client(&[TERMINAL])));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = connect(ground.address, config).await;
    assert_eq!(refused_with(client).await, AlertDescription::NoApplicationProtocol);
}

#[tokio::test]
async fn no_ticket_is_given_so_that_every_connection_proves_its_key() {
    let ground = Ground::new().await;
    let config = client_config(&ground.authority, Some(&ground.authority.client(&[TERMINAL])));
    for _ in 0..2 {
        let mut client = connect(ground.address, config.clone()).await.unwrap();
        client.call("status", b"").await;
        let connection = client.stream.get_ref().1;
        assert_eq!(connection.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(connection.tls13_tickets_received(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_names_nobody_is_answered_unauthenticated_on_every_request() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    ground.served_terminal().await;
    let two = [TERMINAL, "spiffe://demo.test/terminal/t2"];
    for uris in [&[][..], &two, &["spiffe://other.test/terminal/t1"]] {
        let mut client = ground.connect(&ground.authority.client(uris)).await;
        for _ in 0..2 {
            let response = client.call("status", b"").await;
            assert_eq!((response.status, response.refusal()), (401, Refusal::Unauthenticated), "{uris:?}");
        }
    }
    assert_eq!(ground.counters.peers_unnamed(), 3);
}

/// A front with a list that revokes serial number 7 and is good until the year given.
async fn with_revocation_list(good_until: i32, in_pem: bool) -> Ground {
    Ground::with(FrontLimits::default(), |settings, authority| {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(good_until, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(7_u64),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: Some(RevocationReason::KeyCompromise),
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&authority.0).unwrap();
        let path = settings.ca.with_file_name("revoked");
        let bytes = if in_pem { list.pem().unwrap().into_bytes() } else { list.der().to_vec() };
        fs::write(&path, bytes).unwrap();
        settings.crls = vec![path];
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_another_is_not() {
    for in_pem in [true, false] {
        let ground = with_revocation_list(4000, in_pem).await;
        let serial = |number: u64| {
            ground.authority.client_with(&[TERMINAL], |params| {
                params.serial_number = Some(SerialNumber::from(number));
            })
        };
        let client = ground.try_connect(Some(&serial(7))).await;
        assert_eq!(refused_with(client).await, AlertDescription::CertificateRevoked);
        let mut client = ground.connect(&serial(8)).await;
        assert_eq!(client.call("status", b"").await.refusal(), Refusal::TokenUnavailable);
    }
}

#[tokio::test]
async fn behind_an_expired_revocation_list_nobody_is_let_in() {
    let ground = with_revocation_list(2021, true).await;
    let client = ground.try_connect(Some(&ground.authority.client(&[TERMINAL]))).await;
    // Whatever the alert: what counts is that it is one.
    refused_with(client).await;
    assert_eq!(ground.counters.connections(), 0);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let (folder, authority) = (TempDir::new().unwrap(), crate::kit::Authority::new("demo"));
    let good = settings(&folder, &authority, FrontLimits::default());

    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o640)).unwrap();
    let fault = Front::bind(good.clone()).await.unwrap_err();
    assert!(matches!(&fault, FrontFault::KeyOpenToOthers { path, mode: 0o640 } if *path == good.key));
    assert!(fault.to_string().contains("chmod 600"), "{fault}");
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o400)).unwrap();

    let missing = folder.path().join("missing.pem");
    let bad = keysvc::front::FrontSettings { ca: missing.clone(), ..good.clone() };
    let fault = Front::bind(bad).await.unwrap_err();
    assert!(matches!(fault, FrontFault::Read { path, .. } if path == missing));

    let bad = keysvc::front::FrontSettings { certificate: good.key.clone(), ..good.clone() };
    let fault = Front::bind(bad).await.unwrap_err();
    assert!(matches!(fault, FrontFault::Holds { wanted: "certificate", .. }));

    let bad = keysvc::front::FrontSettings { certificate: good.ca.clone(), ..good.clone() };
    let fault = Front::bind(bad).await.unwrap_err();
    assert!(matches!(fault, FrontFault::Tls { .. }), "another key's certificate");
}
