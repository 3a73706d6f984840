//! Search by distance along the great circle.

use crate::cities::{Cities, City};

// The mean radius of the Earth in the sense of IUGG (R1).
const EARTH_KM: f64 = 6_371.008_8;
// One degree of latitude is never shorter than this, so a band that is narrower in degrees loses no place.
const KM_PER_DEGREE: f64 = 111.0;

/// The nearest `limit` places within `radius_km` of a point, nearest first, with their distance in kilometres.
pub(crate) fn nearby(cities: &Cities, lat: f64, lon: f64, radius_km: f64, limit: usize) -> Vec<(&City, f64)> {
    let band = radius_km / KM_PER_DEGREE;
    let mut found: Vec<(&City, f64)> = cities
        .iter()
        .filter(|city| (city.lat - lat).abs() <= band)
        .map(|city| (city, haversine_km(lat, lon, city.lat, city.lon)))
        .filter(|(_, distance)| *distance <= radius_km)
        .collect();
    found.sort_unstable_by(|(a, near), (b, far)| near.total_cmp(far).then_with(|| a.folded.cmp(&b.folded)));
    found.truncate(limit);
    found
}

fn haversine_km(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let (phi1, phi2) = (lat1.to_radians(), lat2.to_radians());
    let half_dlat = ((lat2 - lat1).to_radians() / 2.0).sin();
    let half_dlon = ((lon2 - lon1).to_radians() / 2.0).sin();
    let chord = half_dlat.mul_add(half_dlat, phi1.cos() * phi2.cos() * half_dlon * half_dlon);
    // Rounding can carry the chord of antipodes just past 1, where asin has no value.
    2.0 * EARTH_KM * chord.min(1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distances() {
        // Great-circle distances on the mean sphere, by the spherical law of cosines in double precision.
        for ((lat1, lon1, lat2, lon2), km) in [
            ((42.69751, 23.32415, 42.15, 24.75), 131.9),
            ((0.0, 0.0, 0.0, 180.0), 20_015.1),
            ((90.0, 0.0, -90.0, 77.0), 20_015.1),
            ((0.0, 179.5, 0.0, -179.5), 111.2),
            ((48.85, 2.35, 48.85, 2.35), 0.0),
        ] {
            let got = haversine_km(lat1, lon1, lat2, lon2);
            assert!((got - km).abs() < 0.1, "{got} is not {km}");
        }
    }

    #[test]
    fn nearest_first_within_the_radius_and_across_the_date_line() {
        let cities = Cities::for_test(&[
            ("West", 0.0, 179.9, "XX", ""),
            ("East", 0.0, -179.8, "XX", ""),
            ("Far", 0.0, 170.0, "XX", ""),
            ("North", 3.0, 180.0, "XX", ""),
        ]);
        let names = |radius, limit| -> Vec<String> {
            nearby(&cities, 0.0, 180.0, radius, limit).iter().map(|(city, _)| city.name.to_string()).collect()
        };
        assert_eq!(names(100.0, 9), ["West", "East"]);
        assert_eq!(names(400.0, 9), ["West", "East", "North"]);
        assert_eq!(names(400.0, 1), ["West"]);
        assert!(names(0.001, 9).is_empty());
    }

    #[test]
    fn the_pole_is_a_place_like_any_other() {
        let cities = Cities::for_test(&[("Alert", 82.5, -62.3, "CA", ""), ("Across", 88.0, 120.0, "XX", "")]);
        assert_eq!(nearby(&cities, 90.0, 0.0, 900.0, 9).len(), 2);
    }
}
