"""How long an instance of the checklist may be idle: short by default, or as the document writes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """In minutes. They are given to the run's own instance and to nothing else."""

    pause: float = 0.25
    hibernate: float = 0.25

    @property
    def words(self) -> str:
        """What the filled-in document has to say of them."""
        return (
            f"janelas desta execução: pausa após {in_words(self.pause)} ociosa, hibernação após mais "
            f"{in_words(self.hibernate)} pausada (o padrão são 3 e 30 min)"
        )


SHORT = Windows()
DOCUMENT = Windows(3, 30)


def in_words(minutes: float) -> str:
    return f"{minutes * 60:g} s" if minutes < 1 else f"{minutes:g} min"
