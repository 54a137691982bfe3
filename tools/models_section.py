"""docs/models.md's table of the built-in models, from `shuffle-vit table --json`."""

# Whose published weights a vanilla model takes.
PUBLISHED = {"deit": "timm", "t2t": "yitu", "swin_tiny": "Microsoft"}
HEAD = ["model", "parameters", "MACs", "with the module: parameters", "MACs", "published weights"]


def text(models):
    found = {model["name"]: model for model in models}
    lines = [f"| {' | '.join(HEAD)} |", "|---" + "|---:" * 4 + "|---|"]
    for name, vanilla in found.items():
        if shuffled := found.get(f"shuffle_{name}"):
            numbers = [f"{model[key]:,}" for model in (vanilla, shuffled) for key in ("params", "macs")]
            lines.append(f"| {' | '.join([name, *numbers, published(name)])} |")
    return "\n".join(lines)


def published(name):
    return next((owner for prefix, owner in PUBLISHED.items() if name.startswith(prefix)), "none")
