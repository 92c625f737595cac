use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::limits::{AMF_DEPTH, AMF_VALUES};

fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    bytes
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>()
            .prop_filter("comparable", |number| !number.is_nan())
            .prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,20}".prop_map(Value::String),
        (0.0..1e13).prop_map(Value::Date),
        Just(Value::Null),
        Just(Value::Undefined),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec(("[a-z]{1,8}", inner), 0..6).prop_map(Value::Object),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(value(), 0..4)) {
        let bytes: Vec<u8> = values.iter().flat_map(written).collect();
        prop_assert_eq!(read_all(&bytes), Ok(values));
    }

    #[test]
    fn nothing_that_comes_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = read_all(&bytes);
    }
}

#[test]
fn every_type_is_read() {
    let mut bytes = vec![0x08, 0xff, 0xff, 0xff, 0xff];
    bytes.extend_from_slice(b"\x00\x01a\x01\x01\x00\x00\x09");
    bytes.extend_from_slice(b"\x0b\x42\x70\x00\x00\x00\x00\x00\x00\x00\x00");
    bytes.extend_from_slice(b"\x0c\x00\x00\x00\x04long");
    bytes.extend_from_slice(b"\x0f\x00\x00\x00\x04<a/>");
    bytes.extend_from_slice(b"\x10\x00\x03Cls\x00\x01b\x05\x00\x00\x09");
    bytes.extend_from_slice(b"\x07\x00\x01\x06\x0d\x04\x0e");
    bytes.extend_from_slice(b"\x0a\x00\x00\x00\x02\x05\x02\x00\x01x");
    let object = |name: &str, value| Value::Object(vec![(name.to_owned(), value)]);
    let expected = vec![
        object("a", Value::Boolean(true)),
        Value::Date(f64::from_bits(0x4270_0000_0000_0000)),
        "long".into(),
        "<a/>".into(),
        object("b", Value::Null),
        Value::Undefined,
        Value::Undefined,
        Value::Undefined,
        Value::Undefined,
        Value::Undefined,
        Value::Array(vec![Value::Null, "x".into()]),
    ];
    assert_eq!(read_all(&bytes), Ok(expected));
}

#[test]
fn a_value_of_amf3_ends_what_there_is() {
    let bytes = b"\x02\x00\x01a\x03\x00\x01b\x11\x0a\x0b\x01\x09";
    let object = Value::Object(vec![("b".to_owned(), Value::Undefined)]);
    assert_eq!(read_all(bytes), Ok(vec!["a".into(), object]));
}

#[test]
fn hostile_values_end_with_a_reason() {
    let nested = |depth: usize| -> Vec<u8> {
        let mut bytes = [0x0a, 0, 0, 0, 1].repeat(depth);
        bytes.push(0x05);
        bytes
    };
    assert!(read_all(&nested(AMF_DEPTH - 1)).is_ok());
    assert_eq!(read_all(&nested(AMF_DEPTH)), Err(AmfError::TooDeep));
    // Enough to overflow any stack that recurses into it.
    assert_eq!(read_all(&nested(100_000)), Err(AmfError::TooDeep));
    let objects = b"\x03\x00\x01a".repeat(15_000);
    assert_eq!(read_all(&objects), Err(AmfError::TooDeep));
    // 2^32 elements that are not there.
    assert_eq!(read_all(b"\x0a\xff\xff\xff\xff"), Err(AmfError::Truncated));
    assert_eq!(
        read_all(&[0x05; AMF_VALUES]).map(|values| values.len()),
        Ok(AMF_VALUES)
    );
    assert_eq!(read_all(&[0x05; AMF_VALUES + 1]), Err(AmfError::TooMany));
    // The end of an object where a value should be.
    assert_eq!(read_all(b"\x09"), Err(AmfError::UnknownType));
    assert_eq!(read_all(b"\x03\x00\x01a\x09"), Err(AmfError::UnknownType));
    assert_eq!(
        read_all(b"\x0c\xff\xff\xff\xffabc"),
        Err(AmfError::Truncated)
    );
}

#[test]
fn json_comes_back_as_it_was() {
    let json = json!({
        "operationId": "1", "flag": true, "count": 3, "part": 0.5, "nothing": null,
        "list": [1, "two", { "three": 3 }],
    });
    assert_eq!(to_json(&from_json(json.clone())), json);
}
