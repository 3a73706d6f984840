//! JSON objects that are objects: a struct's own `Deserialize` takes an array of its members' values too.
//!
//! ```
//! use bmap_protocol::object::Object;
//! use bmap_protocol::tool_policy::CallerRate;
//!
//! assert!(serde_json::from_str::<CallerRate>("[1,2]").is_ok());
//! assert!(serde_json::from_str::<Object<CallerRate>>("[1,2]").is_err());
//! ```

use core::fmt;
use core::marker::PhantomData;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A struct that is read from an object alone.
///
/// ```
/// use bmap_protocol::object::Object;
/// use bmap_protocol::tool_policy::ToolPolicy;
///
/// assert!(serde_json::from_str::<Object<ToolPolicy>>("{}").is_ok());
/// assert!(serde_json::from_str::<Object<ToolPolicy>>("[]").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Object)
    }
}

/// For `#[serde(deserialize_with)]` of a member that may be absent.
pub(crate) fn optional<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// For `#[serde(deserialize_with)]` of a member that is an object where it is there.
pub(crate) fn own<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::<T>::deserialize(deserializer).map(|object| object.0)
}

/// For `#[serde(deserialize_with)]` of a list.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<alloc::vec::Vec<T>, D::Error> {
    let objects = alloc::vec::Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
