"""What the tests of data sets share."""

from record_fixtures import encode, example, write_manifest, write_shards
