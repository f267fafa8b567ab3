_batcher_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" type value last
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    last="${words[${#words[@]}-1]}"
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain)
                [[ $value == *= ]] && compopt -o nospace 2>/dev/null
                if [[ $last == *=* && $COMP_WORDBREAKS == *=* ]]; then
                    value="${value#"${last%%=*}="}"
                fi
                COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="$line" COMP_CWORD=$((${#words[@]} - 1)) _BATCHER_COMPLETE=bash_complete batcher)
}
complete -o nosort -F _batcher_completion batcher 2>/dev/null || complete -F _batcher_completion batcher
