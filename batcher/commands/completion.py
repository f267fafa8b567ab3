"""``batcher completion``: what a shell needs to complete commands, flags, run directories and model ids."""

import click

SHELLS = ("bash", "zsh", "fish")

# Click's own scripts for bash and zsh put a blank behind `NAME=`, and the one for bash can't complete what follows `=`,
# where bash begins a new word. These two ask click in the same way.
BASH = r"""_batcher_completion() {
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
"""
ZSH = r"""#compdef batcher
_batcher_completion() {
    local -a response described plain open
    local type key descr
    response=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) _BATCHER_COMPLETE=zsh_complete batcher)}")
    for type key descr in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ $key == *= ]]; then
                    open+=("$key")
                elif [[ $descr == _ ]]; then
                    plain+=("$key")
                else
                    described+=("$key":"$descr")
                fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    (( $#open )) && compadd -U -S '' -V unsorted -a open
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _batcher_completion "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _batcher_completion batcher
fi
"""


@click.command(
    epilog="""\b
Examples, for each shell the line that installs it:
  echo 'eval "$(batcher completion bash)"' >> ~/.bashrc
  echo 'eval "$(batcher completion zsh)"' >> ~/.zshrc
  batcher completion fish > ~/.config/fish/completions/batcher.fish"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish."""
    from click.shell_completion import FishComplete

    ours = {"bash": BASH, "zsh": ZSH}.get(shell)
    click.echo(ours or FishComplete(ctx.find_root().command, {}, "batcher", "_BATCHER_COMPLETE").source(), nl=not ours)
