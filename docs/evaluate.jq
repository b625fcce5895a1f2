# The NDCG of docs/evaluate.md by category, from two reports on the same data: jq -rs -f evaluate.jq SHOWN HIDDEN,
# made by `segue evaluate --json`, the second with `--no-titles`.
def four: "0000\(fabs * 10000 | round)"[-4:] | if . == "0000" then ".0000" else ".\(.)" end;
def share: (if . < 0 then "-" else "" end) + four;
def estimate: "\(.mean | share) ± \(.se | four)";
def row($name; $with; $by_tracks):
  ["popularity", "item cosine", "playlist kNN", "Turtles kNN"] as $plain
  | [$name] + [$plain[] | $with.methods[.].ndcg.mean | share]
  + [$by_tracks.methods.segue.ndcg.mean // empty | share]
  + ([$by_tracks.segue_minus["playlist kNN", "Turtles kNN"].ndcg // empty | estimate])
  | . + [range(8 - length) | "–"] + [$with.methods.segue.ndcg.mean | share]
  | "| \(join(" | ")) |";
.[1] as $hidden
| "| shown (asked) | popularity | item cosine | playlist kNN | Turtles kNN | segue by tracks | minus playlist kNN | minus Turtles kNN | segue |",
  "|---|---|---|---|---|---|---|---|---|",
  (.[0].categories[]
    | .category as $number
    | row("\($number) \(.name) (\(.queries))"; .; [$hidden.categories[] | select(.category == $number)][0])),
  row("**mean, with seeds**"; .[0].mean; $hidden.mean)
