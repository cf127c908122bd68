# Adds the kinds of docker/runtimes.json to an existing runtimes manifest; those of the same name are replaced:
#   jq -s -f docker/merge.jq --arg prefix registry.example.com/whiskaway --arg tag 1.0 runtimes.json docker/runtimes.json
.[0] as $old
| (.[1].runtimes | map_values(map(.image.prefix = $prefix | .image.tag = $tag))) as $new
| reduce ($new | to_entries[]) as $family ($old;
    .runtimes[$family.key] = [.runtimes[$family.key][]? | select(.kind as $kind | $family.value | all(.kind != $kind))] + $family.value)
