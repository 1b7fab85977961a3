//! What inputs weigh.

use qd_store::{ItemInput, NewItem};
use qd_types::Input;
use serde_json::{Value, json};

use super::bytes_of;

#[test]
fn inputs_weigh_what_they_take_in_memory_and_not_what_they_take_as_text() {
    let each = std::mem::size_of::<Value>();
    let deep = json!({ "a": { "b": [{ "c": [1, 2, 3] }] } });
    for (value, bytes) in [
        (json!(null), each),
        (json!("x".repeat(1_000)), each + 1_000),
        // Of 2 bytes each in the body.
        (json!(vec![0; 1_000]), 1_001 * each),
        (json!(vec![Value::Array(Vec::new()); 1_000]), 1_001 * each),
        (json!(vec!["long".repeat(100); 10]), 11 * each + 4_000),
        (deep, 8 * each + 3),
    ] {
        let input = Input::from_iter([("key".to_owned(), value.clone())]);
        let item = NewItem::Valid(ItemInput { input, ..ItemInput::default() });
        assert_eq!(bytes_of(&item), 3 + bytes, "{value}");
    }
    assert_eq!(bytes_of(&NewItem::Invalid("why".to_owned())), 3);
}
