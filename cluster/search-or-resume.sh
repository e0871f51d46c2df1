#!/usr/bin/env bash
# `rxtune search` with the same flags, and with --resume where the run is there already: for what
# starts a search again by itself, such as Slurm and Kubernetes.
#
#     search-or-resume.sh --name RUN [--runs FOLDER] …
set -eu

runs=runs
name=
previous=
for word in "$@"; do
    case $previous in
        --runs) runs=$word ;;
        --name) name=$word ;;
    esac
    previous=$word
done
if [[ -z $name ]]; then
    echo "search-or-resume.sh: --name RUN must be given: it tells which run to go on with" >&2
    exit 2
fi
if [[ -e $runs/$name/journal.log ]]; then
    set -- "$@" --resume
fi
exec rxtune search "$@"
