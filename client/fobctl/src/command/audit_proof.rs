//! `fobctl audit proof`: that the log holds a leaf, checked against the newest checkpoint.
//!
//! A proof in an older tree is for who keeps a checkpoint of that size: it is handed on as received, and said so.

use crate::{
    fault::Fault,
    output::{Output, Report},
    shown::rows,
};
use keysvc_client::{
    Auditor, ClientConfig, ClientError,
    protocol::{
        bytes::Digest,
        merkle::{Inclusion, Proof, TreeHead, leaf_hash, verify_inclusion},
    },
};
use serde::Serialize;
use std::io::Write;

/// `fobctl audit proof`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProofArgs {
    /// The leaf's index, from 0.
    #[arg(long, value_name = "N")]
    leaf: u64,
    /// The tree's size, for an older checkpoint; the newest checkpoint's when left out.
    #[arg(long, value_name = "N")]
    size: Option<u64>,
}

#[derive(Serialize)]
struct ProofReport {
    leaf: u64,
    leaf_hash: String,
    /// The newest checkpoint, in whose tree the leaf is proved to be.
    checkpoint: HeadView,
    /// Size of the tree that the proof is for.
    size: u64,
    /// Whether the proof below was itself checked: where it is for the checkpoint's tree.
    verified: bool,
    proof: Vec<String>,
}

#[derive(Serialize)]
struct HeadView {
    size: u64,
    root: String,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ProofArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let auditor =
        Auditor::connect(config).await.map_err(|error| Fault::client("connect as an auditor", error))?;
    let fault = |error| Fault::client("prove the leaf", error);
    let reader = auditor.reader();
    let head = reader.checkpoint().await.map_err(fault)?.checkpoint().head;
    let size = args.size_in(head)?;
    // Its own entry is what is proved, not a hash that the service tells.
    let end = args.leaf.saturating_add(1);
    let leaf = auditor.entries(args.leaf, end).await.map_err(fault)?;
    let entry = leaf.first().map(|leaf| leaf_hash(leaf.entry.as_bytes()));
    let entry = entry.ok_or_else(|| fault(ClientError::Malformed { what: "no leaf".into() }))?;
    let newest = inclusion(reader.proof(head.size, Some(args.leaf), None).await.map_err(fault)?.inclusion)?;
    verify(args.leaf, entry, head, &newest)?;
    let proof = if size == head.size {
        newest
    } else {
        inclusion(reader.proof(size, Some(args.leaf), None).await.map_err(fault)?.inclusion)?
    };
    output.print(&ProofReport {
        leaf: args.leaf,
        leaf_hash: entry.to_string(),
        checkpoint: HeadView { size: head.size, root: head.root.to_string() },
        size,
        verified: size == head.size,
        proof: proof.hashes().iter().map(ToString::to_string).collect(),
    })
}

impl ProofArgs {
    /// The size of the tree the proof is for, once leaf and size are seen to be in the log.
    fn size_in(&self, head: TreeHead) -> Result<u64, Fault> {
        let size = self.size.unwrap_or(head.size);
        if size > head.size {
            let next = format!("give --size up to {}, or leave it out", head.size);
            return Err(Fault::usage(format!("the log has {} leaves, not {size}", head.size), next));
        }
        if self.leaf >= size {
            let what = format!("leaf {} is not in a tree of {size} leaves", self.leaf);
            return Err(Fault::usage(what, "give a leaf from 0 to the size minus 1"));
        }
        Ok(size)
    }
}

fn inclusion(proof: Option<Proof>) -> Result<Proof, Fault> {
    proof.ok_or_else(|| Fault::client("prove the leaf", ClientError::Malformed { what: "no proof".into() }))
}

fn verify(index: u64, leaf_hash: Digest, head: TreeHead, proof: &Proof) -> Result<(), Fault> {
    let claim = Inclusion { index, size: head.size, leaf_hash };
    verify_inclusion(&claim, proof, &head.root).map_err(|error| {
        let what = format!("leaf {index}: {error}");
        Fault::client("prove the leaf", ClientError::Untrusted { what, evidence: None })
    })
}

impl Report for ProofReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-audit-proof/1"
    }

    fn text(&self) -> String {
        let checked = if self.verified {
            "verified".to_owned()
        } else {
            format!("as received: check it with a kept checkpoint of {} leaves", self.size)
        };
        let rows = rows([
            ("leaf", self.leaf.to_string()),
            ("leaf hash", self.leaf_hash.clone()),
            ("in the log", format!("verified, under a checkpoint of {} leaves", self.checkpoint.size)),
            ("root", self.checkpoint.root.clone()),
            ("proof", format!("in a tree of {} leaves, {checked}", self.size)),
        ]);
        std::iter::once(rows)
            .chain(self.proof.iter().map(|hash| format!("  {hash}")))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::merkle::node_hash;
    use serde_json::{json, to_value};

    fn tree() -> (Digest, Digest, TreeHead) {
        let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
        (left, right, TreeHead { size: 2, root: node_hash(&left, &right) })
    }

    fn report(size: u64) -> ProofReport {
        ProofReport {
            leaf: 0,
            leaf_hash: "aa".repeat(32),
            checkpoint: HeadView { size: 2, root: "bb".repeat(32) },
            size,
            verified: size == 2,
            proof: vec!["cc".repeat(32)],
        }
    }

    #[test]
    fn a_leaf_is_proved_by_its_own_hash_alone() {
        let (left, right, head) = tree();
        let proof = Proof::try_from(vec![right]).unwrap();
        assert!(verify(0, left, head, &proof).is_ok());
        assert_eq!(verify(1, left, head, &proof).unwrap_err().exit_code(), 6);
        assert_eq!(verify(0, right, head, &proof).unwrap_err().exit_code(), 6);
        assert_eq!(verify(0, left, head, &Proof::default()).unwrap_err().exit_code(), 6);
    }

    #[test]
    fn leaf_and_size_must_be_in_the_log() {
        let (_, _, head) = tree();
        let size = |leaf, size| ProofArgs { leaf, size }.size_in(head);
        assert_eq!(size(1, None).unwrap(), 2);
        assert_eq!(size(0, Some(1)).unwrap(), 1);
        assert_eq!(size(0, Some(3)).unwrap_err().to_string(), "the log has 2 leaves, not 3");
        assert_eq!(size(1, Some(1)).unwrap_err().to_string(), "leaf 1 is not in a tree of 1 leaves");
    }

    #[test]
    fn a_proof_in_an_older_tree_is_not_called_verified() {
        assert!(report(2).text().contains("in a tree of 2 leaves, verified"));
        assert!(report(1).text().contains("in a tree of 1 leaves, as received"));
    }

    #[test]
    fn the_json_has_leaf_checkpoint_and_hashes() {
        let expected = json!({
            "leaf": 0,
            "leaf_hash": "aa".repeat(32),
            "checkpoint": { "size": 2, "root": "bb".repeat(32) },
            "size": 2,
            "verified": true,
            "proof": ["cc".repeat(32)],
        });
        assert_eq!(to_value(report(2)).unwrap(), expected);
    }
}
