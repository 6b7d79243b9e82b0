"""`colorjax app`."""

import time
import webbrowser
from typing import Any

from colorjax.cli.console import Printer
from colorjax.cli.options import (
    add_command,
    add_max_megapixels,
    add_weights,
    check_integer,
    parse_value,
)


def add_app(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = add_command(
        commands,
        "app",
        _app,
        "Open a page in the browser on this computer: drop photos, compare, set colors, download.",
        """  colorjax app
  colorjax app --port 8000 --no-browser --weights run/weights.safetensors""",
    )
    add_weights(parser)
    parser.add_argument(
        "--port",
        type=parse_value,
        default=0,
        metavar="N",
        help="port to listen on (default: any free port)",
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    add_max_megapixels(parser, 100)


def _app(args: Any, printer: Printer) -> int:
    from colorjax.web.app import serving
    from colorjax.weights import load_weights

    port = check_integer("port", args.port, 0, 65535)
    max_pixels = 1_000_000 * check_integer("max-megapixels", args.max_megapixels, 1)
    weights = load_weights(args.weights)
    with serving(weights, port=port, max_pixels=max_pixels) as served:
        printer.line(f"the page is at {served.address} (this computer only); press Ctrl-C to stop")
        if not args.no_browser:
            webbrowser.open(served.once)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt as stop:  # the usual end
            return getattr(stop, "exit_code", 0)
