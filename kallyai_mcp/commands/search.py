"""Research on the web and among businesses."""

from kallyai_mcp.model import Args, Cli, Domain, Effect, Look, Source, arg, each, optional
from kallyai_mcp.model.types import Text

search = Domain("search", "Find businesses, prices and facts.")


_RUN = Look(command="search history", entries=("searches", "items"), match={"query": "query"}, since="created_at")


@search.command(
    "run",
    "POST /v1/search",
    Effect.READ,
    costs_credits=True,
    slow=True,
    text_from=Source.SEARCH,
    answer={
        "results": each(
            "What was found.",
            {
                "title": "Name of the business or page.",
                "description": "What it is or offers.",
                "phone": "Number, for kallyai_calls_make.",
                "address": "Street address.",
                "rating": "Mean rating.",
                "price_range": "Price level in $ signs.",
                "url": "Web address.",
            },
        ),
        "credits_used": "Credits charged.",
    },
    price="search",
    trace=_RUN,
)
class RunSearch(Args):
    """Research a question or find businesses thoroughly, with numbers and addresses.

    Spends credits; may take minutes. kallyai_calls_make can phone what is found.
    """

    query: Text = arg("What to find out, with what matters about it.", cli=Cli.WORDS)
    location: str = optional("City, district or address to search around.")


@search.command(
    "quick",
    "POST /v1/search/quick",
    Effect.READ,
    costs_credits=True,
    text_from=Source.SEARCH,
    price="search",
    trace=_RUN,
)
class RunQuickSearch(Args):
    """Look something up fast, in less detail than kallyai_search_run. Spends credits."""

    query: Text = arg("What to look up.", cli=Cli.WORDS)


@search.command("history", "GET /v1/search/history", Effect.READ, idempotent=True, text_from=Source.SEARCH)
class ListSearches(Args):
    """List the searches made so far."""


@search.command("sources", "GET /v1/search/sources", Effect.READ, idempotent=True)
class ListSearchSources(Args):
    """List the sources that searches draw on."""
