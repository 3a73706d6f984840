//! One decision about one signed request, and the tower layer that tools embed.
