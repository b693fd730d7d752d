# What is in a plan: shell assignments, and arrays PEOPLE_OF, OBJECTS_OF, BYTES_OF by country.
/^#/ { next }
{
  objects++; bytes += $6
  of_subject[$1]++; country[$1] = $2; n[$2]++; b[$2] += $6
  if ($6 > largest) largest = $6
  if ($6 == 0) empty++
  if ($4 ~ /%E0%A4/) utf8++ # Devanagari
  if ($5 ~ /^file:/ && !($5 in seen)) {
    seen[$5] = 1; files++
    if ($5 ~ /\.(png|svg|jpg|jpeg|gif)$/) pictures++
  }
}
END {
  for (s in of_subject) {
    people++; people_of[country[s]]++
    if (of_subject[s] >= 500) heavy++
  }
  for (c in n) {
    countries++
    printf "PEOPLE_OF[%s]=%d OBJECTS_OF[%s]=%d BYTES_OF[%s]=%.0f\n", c, people_of[c], c, n[c], c, b[c]
  }
  printf "PLAN_PEOPLE=%d PLAN_COUNTRIES=%d PLAN_OBJECTS=%d PLAN_BYTES=%.0f PLAN_FILES=%d PLAN_PICTURES=%d\n", \
    people, countries, objects, bytes, files, pictures
  printf "PLAN_LARGEST=%.0f PLAN_EMPTY=%d PLAN_HEAVY=%d PLAN_UTF8=%d\n", largest, empty, heavy, utf8
}
