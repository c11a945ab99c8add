//! The names of the wire's fields, for eyes: on the wire a field is its number.
//!
//! Taken from the types themselves: a type that asks for its fields tells their names in order, so that no list here
//! can fall behind. It reads no message.

use keysvc_client::protocol::{
    key::KeyRecord,
    receipt::{LeafEvidence, Receipt},
    reply::{
        BundleReply, CardDeriveReply, CheckpointReply, EntriesReply, KeyListReply, KeyReply, ProofReply,
        StationOpenReply, StatusReply, ValueBatchReply, ValueUpdateReply,
    },
    request::{
        DeriveCardKeys, ListKeys, OpenStation, Operation, ReadBundle, ReadCheckpoint, ReadEntries, ReadKey,
        ReadProof, ReadStatus, UpdateValue, UpdateValues,
    },
};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
    forward_to_deserialize_any,
};
use std::fmt;

/// The fields of an operation's request.
pub(crate) fn of_request(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Status => of::<ReadStatus>(),
        Operation::KeyList => of::<ListKeys>(),
        Operation::KeyGet => of::<ReadKey>(),
        Operation::StationOpen => of::<OpenStation>(),
        Operation::CardDerive => of::<DeriveCardKeys>(),
        Operation::ValueUpdate => of::<UpdateValue>(),
        Operation::LogCheckpoint => of::<ReadCheckpoint>(),
        Operation::LogEntries => of::<ReadEntries>(),
        Operation::LogProof => of::<ReadProof>(),
        Operation::BundleGet => of::<ReadBundle>(),
        Operation::ValueBatch => of::<UpdateValues>(),
    }
}

/// The fields of an operation's reply.
pub(crate) fn of_reply(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Status => of::<StatusReply>(),
        Operation::KeyList => of::<KeyListReply>(),
        Operation::KeyGet => of::<KeyReply>(),
        Operation::StationOpen => of::<StationOpenReply>(),
        Operation::CardDerive => of::<CardDeriveReply>(),
        Operation::ValueUpdate => of::<ValueUpdateReply>(),
        Operation::LogCheckpoint => of::<CheckpointReply>(),
        Operation::LogEntries => of::<EntriesReply>(),
        Operation::LogProof => of::<ProofReply>(),
        Operation::BundleGet => of::<BundleReply>(),
        Operation::ValueBatch => of::<ValueBatchReply>(),
    }
}

/// The fields of the message in the field of this name; none where it is not known or no message.
pub(crate) fn within(name: &str) -> &'static [&'static str] {
    match name {
        "receipt" => of::<Receipt>(),
        "leaf" | "genesis" | "entries" => of::<LeafEvidence>(),
        "key" | "keys" => of::<KeyRecord>(),
        _ => &[],
    }
}

fn of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It always ends with `Asked`: the fields are all that is wanted.
    let _: Result<T, Asked> = T::deserialize(Asking { fields: &mut fields });
    fields
}

/// Writes down the fields a type asks for, and gives it nothing.
struct Asking<'a> {
    fields: &'a mut &'static [&'static str],
}

#[derive(Debug)]
struct Asked;

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing to read")
    }
}

impl std::error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Asked> {
        *self.fields = fields;
        Err(Asked)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnostic::{Value, decode},
        sample,
    };
    use keysvc_client::protocol::cbor;

    #[test]
    fn every_message_begins_with_its_schema() {
        for operation in Operation::ALL {
            assert_eq!(of_request(operation).first(), Some(&"schema"), "{operation}");
            assert_eq!(of_reply(operation).first(), Some(&"schema"), "{operation}");
        }
        assert_eq!(of_request(Operation::KeyGet), ["schema", "name", "version"]);
    }

    #[test]
    fn the_names_stand_at_the_numbers_of_the_wire() {
        let key = sample::key();
        let Some(Value::Map(pairs)) = decode(&cbor::encode(&key)) else { panic!("no map") };
        let names = within("key");
        let place = names.iter().position(|name| *name == "made_at_ms").unwrap();
        let number = Value::Unsigned(u64::try_from(place).unwrap());
        assert!(pairs.contains(&(number, Value::Unsigned(key.made_at_ms))), "{pairs:?}");
    }
}
