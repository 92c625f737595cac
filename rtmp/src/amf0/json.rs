//! AMF0 and JSON: what Flash room clients say by invokes, browsers say by WebSocket.

use serde_json::{Map, Number, Value as Json};

use super::Value;

/// The JSON of a value. What JSON does not have becomes null.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Number(number) => to_json_number(*number),
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::String(text) => Json::String(text.clone()),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), to_json(value)));
            Json::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(values) => Json::Array(values.iter().map(to_json).collect()),
        Value::Date(date) => to_json_number(*date),
        Value::Null | Value::Undefined => Json::Null,
    }
}

/// Whole numbers stay whole: an id that is written as `1.0` would be another one.
fn to_json_number(number: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Json::Number(Number::from(number as i64));
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// The value of JSON.
pub fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(flag),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
        Json::String(text) => Value::String(text),
        Json::Array(values) => Value::Array(values.into_iter().map(from_json).collect()),
        Json::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, from_json(value)));
            Value::Object(fields.collect())
        }
    }
}
