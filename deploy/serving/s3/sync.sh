#!/bin/sh
# Copies the versions in the bucket folder $SOURCE (as rclone calls it) to the folder $TARGET, which
# TF Serving polls, and deletes there those that left the bucket. One pass; it may be killed any time.
#
# A version is whole when its saved_model.pb is there: Pusher uploads that last and deletes it first.
# A copy appears by a rename, so TF Serving, to which names that are no numbers are nothing, never
# sees half of one.
set -eu

mkdir -p "$TARGET"
rm -rf "$TARGET/.tmp" # what a killed pass left

# Not in one pipe with the rest: a listing that fails half-way must end the pass.
listing=$(rclone lsf --recursive --max-depth 2 --files-only --include '/*/saved_model.pb' "$SOURCE")
whole=$(echo "$listing" | sed -n 's|^\([0-9][0-9]*\)/saved_model.pb$|\1|p' | sort -rn)
if [ -z "$whole" ]; then
  echo "$SOURCE: no version there; those that are here stay" >&2
  exit 1
fi

# The newest first: a server that starts serves the first that it sees.
for version in $whole; do
  if [ -d "$TARGET/$version" ]; then continue; fi
  rclone copy "$SOURCE/$version" "$TARGET/.tmp"
  if [ -f "$TARGET/.tmp/saved_model.pb" ]; then
    mv "$TARGET/.tmp" "$TARGET/$version"
    echo "version $version is here"
  else # pruned meanwhile
    rm -rf "$TARGET/.tmp"
  fi
done

for folder in "$TARGET"/[0-9]*; do
  version=${folder##*/}
  if [ ! -d "$folder" ]; then continue; fi
  if echo "$whole" | grep -qx "$version"; then continue; fi
  mv "$folder" "$TARGET/.tmp"
  rm -rf "$TARGET/.tmp"
  echo "version $version is deleted"
done
