//! Features that are for tests alone, and must not get into what is built for users.

use serde_json::Value;

/// A crate, and its feature that nothing but a dev-dependency may enable.
const TEST_FEATURES: [(&str, &str); 1] = [("bmap-verifier", "test")];

/// Dependencies and features of the workspace that enable a feature for tests in a build, from `cargo metadata --no-deps`. A feature that is inherited
/// from `[workspace.dependencies]` stands there with the dependency.
pub(super) fn faults(metadata: &Value) -> Vec<String> {
    let packages = list(metadata, "packages");
    let mut faults = Vec::new();
    for (owner, feature) in TEST_FEATURES {
        let of_owner = packages.iter().find(|package| text(package, "name") == Some(owner));
        if of_owner.is_none_or(|package| package.pointer(&format!("/features/{feature}")).is_none()) {
            faults.push(format!("{owner} has no feature {feature}: is it named otherwise in {}?", file!()));
        }
        for package in packages {
            let importer = text(package, "name").unwrap_or_default();
            let of_builds =
                list(package, "dependencies").iter().filter(|dependency| text(dependency, "name") == Some(owner));
            for dependency in of_builds.clone().filter(|dependency| text(dependency, "kind") != Some("dev")) {
                if list(dependency, "features").iter().any(|enabled| enabled == feature) {
                    faults.push(format!("{importer} enables {owner}/{feature} outside of dev-dependencies"));
                }
            }
            // Features know a dependency by the name that it was given.
            let called = of_builds.map(|dependency| text(dependency, "rename").unwrap_or(owner));
            let mut ways: Vec<String> =
                called.flat_map(|called| [format!("{called}/{feature}"), format!("{called}?/{feature}")]).collect();
            if importer == owner {
                ways.push(feature.to_owned());
            }
            let features = package.get("features").and_then(Value::as_object).into_iter().flatten();
            for (enabling, enabled) in features {
                let enabled = enabled.as_array().map(Vec::as_slice).unwrap_or_default();
                if enabled.iter().filter_map(Value::as_str).any(|enabled| ways.iter().any(|way| way == enabled)) {
                    faults.push(format!("{importer}: its feature {enabling} enables {owner}/{feature}"));
                }
            }
        }
    }
    faults
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn house(package: Value, features_of_verifier: Value) -> Vec<String> {
        faults(&json!({ "packages": [
            { "name": "bmap-verifier", "features": features_of_verifier, "dependencies": [] },
            package,
        ] }))
    }

    fn usual() -> Value {
        json!({ "default": ["axum"], "axum": [], "test": ["dep:getrandom"] })
    }

    fn tool(kind: Value, features: &[&str], own_features: Value) -> Value {
        let dependency = json!({ "name": "bmap-verifier", "kind": kind, "rename": null, "features": features });
        json!({ "name": "a-tool", "features": own_features, "dependencies": [dependency] })
    }

    #[test]
    fn a_build_that_enables_it_is_red() {
        for kind in [Value::Null, json!("build")] {
            let found = house(tool(kind, &["axum", "test"], json!({})), usual());
            assert_eq!(found, ["a-tool enables bmap-verifier/test outside of dev-dependencies"]);
        }
        for way in ["bmap-verifier/test", "bmap-verifier?/test"] {
            let found = house(tool(Value::Null, &[], json!({ "all": ["other", way] })), usual());
            assert_eq!(found, ["a-tool: its feature all enables bmap-verifier/test"]);
        }
        let mut renamed = tool(Value::Null, &[], json!({ "all": ["verifier/test"] }));
        renamed["dependencies"][0]["rename"] = json!("verifier");
        assert_eq!(house(renamed, usual()), ["a-tool: its feature all enables bmap-verifier/test"]);
    }

    #[test]
    fn a_feature_of_the_crate_itself_that_enables_it_is_red() {
        let default = json!({ "default": ["axum", "test"], "test": [] });
        let found = house(tool(Value::Null, &[], json!({})), default);
        assert_eq!(found, ["bmap-verifier: its feature default enables bmap-verifier/test"]);
    }

    #[test]
    fn dev_dependencies_and_other_features_are_green() {
        assert_eq!(house(tool(json!("dev"), &["test"], json!({})), usual()), [""; 0]);
        let other = tool(Value::Null, &["axum", "tokio"], json!({ "test": ["bmap-verifier/axum"] }));
        assert_eq!(house(other, usual()), [""; 0]);
    }

    #[test]
    fn a_feature_that_was_renamed_is_red() {
        assert_eq!(house(tool(Value::Null, &[], json!({})), json!({ "testing": [] })).len(), 1);
    }
}
