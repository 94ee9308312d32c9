#!/bin/sh
# Fetches what the pages take from others: minified scripts into assets/vendor/, icons into icons/. For maintainers, by hand; the
# versions are pinned here, and the licences stand in NOTICE. Needs npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
npm install --no-save --no-audit --no-fund --ignore-scripts --prefix . \
  htmx.org@2.0.11 vega@6.4.0 vega-lite@6.4.3 vega-interpreter@2.3.2 lucide-static@1.62.0 esbuild@0.28.2 \
  @codemirror/view@6.43.15 @codemirror/state@6.7.6 @codemirror/commands@6.11.1 @codemirror/language@6.13.1 @codemirror/lang-sql@6.10.0 \
  @codemirror/autocomplete@6.20.4 @codemirror/search@6.7.2 @lezer/highlight@1.2.5 style-mod@4.1.5
vendor=$here/assets/vendor
mkdir -p "$vendor" "$here/icons"
cp node_modules/htmx.org/dist/htmx.min.js "$vendor/"
cp node_modules/vega/build/vega.min.js node_modules/vega-lite/build/vega-lite.min.js "$vendor/"
# Only as a module: a script that sets `vega.expressionInterpreter`, which evaluates without `eval`.
echo 'import { expressionInterpreter } from "vega-interpreter"; globalThis.vega.expressionInterpreter = expressionInterpreter;' > in.js
node_modules/.bin/esbuild in.js --bundle --minify --format=iife --legal-comments=none --log-level=warning \
  --outfile="$vendor/vega-interpreter.min.js"
# The editor of the SQL console, one module. Its styles are constructed sheets: the policy of the pages has no room for a <style>.
style=node_modules/style-mod/src/style-mod.js
sed -i 's/if (!root.head && root.adoptedStyleSheets/if (root.adoptedStyleSheets/' "$style"
grep -q 'if (root.adoptedStyleSheets' "$style" || { echo "style-mod is not as it was: look how it adds its styles" >&2; exit 1; }
cat > editor.js <<'END'
export { Compartment, EditorState, Prec, StateEffect, StateField } from "@codemirror/state";
export { Decoration, EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
export { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
export { HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting, syntaxTree } from "@codemirror/language";
export { SQLDialect, sql } from "@codemirror/lang-sql";
export { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion } from "@codemirror/autocomplete";
export { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
export { tags } from "@lezer/highlight";
END
node_modules/.bin/esbuild editor.js --bundle --minify --format=esm --legal-comments=none --log-level=warning \
  --outfile="$vendor/codemirror.min.js"
sed -i '/^\/\/# sourceMappingURL=/d' "$vendor"/*.js
for icon in \
  activity arrow-down arrow-left arrow-right arrow-up audio-lines audio-waveform ban bookmark calendar check chevron-down chevron-left \
  chevron-right chevron-up chevrons-up-down circle-alert circle-check circle-help clock cloud-upload code columns-2 copy database download \
  ellipsis ellipsis-vertical external-link eye file-text filter flame funnel gauge grid-2x2 hard-drive history hourglass info key-round \
  languages layout-grid layout-list library link list list-filter list-music loader-circle lock log-out mail menu mic monitor moon \
  notebook-text pause pencil pin pin-off play plus radio refresh-cw rewind rotate-ccw save scale search send server settings shield \
  shield-alert shield-check skip-back skip-forward sliders-horizontal sparkles square star sun table tag terminal trash-2 trending-down \
  trending-up triangle-alert undo-2 upload user users volume-2 volume-x x zap zoom-in; do
  if [ -f "node_modules/lucide-static/icons/$icon.svg" ]; then
    # Only what is drawn: size, stroke and colour come from the stylesheet.
    sed -n '/<svg/,/<\/svg>/p' "node_modules/lucide-static/icons/$icon.svg" | tr -d '\n' \
      | sed -E 's/<svg[^>]*>//; s/<\/svg>//; s/[[:space:]]+/ /g; s/^ //; s/ $//' > "$here/icons/$icon.svg"
  else
    echo "lucide has no icon '$icon'" >&2
  fi
done
