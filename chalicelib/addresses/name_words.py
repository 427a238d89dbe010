"""The words that a label puts round a name, in normal form: titles, couples, particles, aliases, companies.

Tables that whoever knows labels can read and correct. Step ids (N1 to N5) are those of `addresses.names`.
"""

from __future__ import annotations

from typing import Final

from chalicelib.addresses.names import Gender

LEADING_TITLES: Final[dict[str, Gender]] = {
    "M": "m",
    "MR": "m",
    "MM": "m",
    "MESSIEURS": "m",
    "MESDAMES": "f",
    "DR": "",
    "DOCTEUR": "",
    "ME": "",
    "MAITRE": "",
    "PR": "",
    "PROFESSEUR": "",
    "COLONEL": "",
    "GENERAL": "",
}
"""N1: titles before a name only. Elsewhere they are an initial, or a name: DUPONT M, LE MAITRE."""

TITLES: Final[dict[str, Gender]] = {
    "MONSIEUR": "m",
    "MME": "f",
    "MMES": "f",
    "MADAME": "f",
    "MLLE": "f",
    "MLLES": "f",
    "MADEMOISELLE": "f",
}
"""N1: titles wherever they stand."""

AFTER_ARTICLE: Final = frozenset({"DR", "DOCTEUR", "PR", "PROFESSEUR", "COLONEL", "GENERAL"})
"""N1: titles that may have an article: MONSIEUR LE DOCTEUR DUPONT."""

FAMILY: Final = frozenset({"FAMILLE", "FAM", "FOYER", "CONSORTS", "ENFANTS", "LEURS"})
"""N3: words for a whole family, of which the label gives the surname only."""

JOINTS: Final = frozenset({"ET", "OU"})
"""N3: between two persons. `&` and `+` are read as ET."""

CARE_OF: Final = frozenset({"CHEZ"})
"""What follows is another person's name, at whose home the addressee lives."""

PARTICLES: Final = frozenset(
    {"LE", "LA", "LES", "DE", "DU", "DES", "VAN", "VON", "DER", "DEN", "EL", "AL", "BEN", "DA", "DI", "DOS", "DEL"}
)
"""N4: joined to the word after them."""

SHORT_PARTICLES: Final = frozenset({"D", "L", "O"})
"""N4: D', L' and O' without their apostrophe, or else an initial."""

ALIASES: Final = frozenset({"NEE", "NE", "EPOUSE", "EP", "EPSE", "VEUVE", "VVE", "DIT", "DITE", "USAGE"})
"""N5: between two surnames of one person."""

SAINTS: Final = {"ST": "SAINT"}
"""A word of a name that labels shorten."""

LEGAL_FORMS: Final = frozenset(
    {
        "SARL",
        "SAS",
        "SASU",
        "SA",
        "EURL",
        "SCI",
        "SNC",
        "SCP",
        "SCM",
        "SCOP",
        "SELARL",
        "SELAS",
        "EARL",
        "GAEC",
        "GIE",
        "EI",
        "EIRL",
        "GMBH",
        "LTD",
        "ASSOC",
        "ASSO",
        "ASSOCIATION",
        "ETS",
        "ETABLISSEMENTS",
        "STE",
        "SOCIETE",
        "ENTREPRISE",
    }
)
"""N2: they make a name a company's, and do not count when two companies are compared."""

TRADES: Final = frozenset(
    {
        "CABINET",
        "CIE",
        "COMPAGNIE",
        "AGENCE",
        "GARAGE",
        "BOULANGERIE",
        "PHARMACIE",
        "RESTAURANT",
        "BANQUE",
        "CLINIQUE",
        "HOPITAL",
        "ECOLE",
        "COLLEGE",
        "LYCEE",
        "MAIRIE",
        "SYNDICAT",
        "FONDATION",
        "COMITE",
    }
)
"""N2: they make a name a company's, and are a part of it."""

SURNAMES_AFTER_PARTICLE: Final = frozenset({"SA"})
"""N2: no legal form after a particle: MARIA DE SA."""

REGISTER_WORDS: Final = frozenset({"SIRET", "SIREN", "RCS"})

SPECIAL: Final = frozenset(
    {*LEADING_TITLES, *TITLES, *FAMILY, *JOINTS, *CARE_OF, *PARTICLES, *SHORT_PARTICLES, *ALIASES}
)
"""They are a few people's surname as well: LE, OU, MAITRE. Against such a surname a label is read as it stands."""

_MEN: Final = """
ADAM ADRIEN ALAIN ALBERT ALEXANDRE ALEXIS ANDRE ANTHONY ANTOINE ARNAUD ARTHUR AURELIEN BAPTISTE BENJAMIN BENOIT
BERNARD BERTRAND BRUNO CEDRIC CHARLES CHRISTIAN CHRISTOPHE CLEMENT CYRIL DAMIEN DANIEL DAVID DENIS DIDIER
EMMANUEL ERIC ETIENNE FABIEN FABRICE FLORIAN FRANCIS FRANCOIS FRANCK FREDERIC GABRIEL GEORGES GERARD GILBERT
GILLES GREGORY GUILLAUME GUY HENRI HERVE HUGO HUGUES JACQUES JEAN JEREMY JEROME JOEL JONATHAN JOSEPH JULES
JULIEN KEVIN LAURENT LEO LOIC LOUIS LUC LUCAS LUDOVIC MARC MARCEL MATHIEU MATTHIEU MAURICE MAXIME MICHAEL MICHEL
MOHAMED NATHAN NICOLAS NOEL OLIVIER PASCAL PATRICE PATRICK PAUL PHILIPPE PIERRE QUENTIN RAPHAEL RAYMOND REMI
REMY RENE RICHARD ROBERT ROGER ROLAND ROMAIN SAMUEL SEBASTIEN SERGE SIMON STEPHANE SYLVAIN THEO THIERRY THOMAS
TRISTAN VALENTIN VICTOR VINCENT XAVIER YANN YVES
"""
_WOMEN: Final = """
ADELE AGNES ALICE AMANDINE AMELIE ANAIS ANDREE ANNE ANNICK ANNIE ARLETTE AUDREY AURELIE AURORE BEATRICE
BERNADETTE BRIGITTE CAROLE CAROLINE CATHERINE CECILE CELINE CHANTAL CHARLOTTE CHLOE CHRISTELLE CHRISTINE CLAIRE
CLARA COLETTE CORINNE DANIELE DELPHINE DENISE EDITH ELISABETH ELISE ELODIE EMILIE EMMA ESTELLE EVA EVELYNE
FABIENNE FANNY FLORENCE FRANCOISE GENEVIEVE GEORGETTE GINETTE HELENE INES IRENE ISABELLE JACQUELINE JEANNE
JEANNINE JENNIFER JESSICA JOELLE JOSIANE JULIE JULIETTE JUSTINE KARINE LAETITIA LAURA LAURE LEA LILIANE LOUISE
LUCIE LUCIENNE MADELEINE MANON MARGAUX MARGUERITE MARIE MARINE MARTINE MATHILDE MAUD MELANIE MICHELE MICHELLE
MIREILLE MONIQUE MORGANE MURIEL MYRIAM NADINE NATHALIE NICOLE ODETTE ODILE OCEANE PASCALE PAULETTE PAULINE RENEE
ROSE SABRINA SANDRA SANDRINE SARAH SIMONE SOLANGE SOPHIE STEPHANIE SUZANNE SYLVIE THERESE VALERIE VANESSA
VERONIQUE VIRGINIE VIVIANE YVETTE YVONNE
"""
FIRST_NAMES: Final[dict[str, Gender]] = {
    **dict.fromkeys(_MEN.split(), "m"),
    **dict.fromkeys(_WOMEN.split(), "f"),
}
"""Common first names of one gender only: no CLAUDE, no DOMINIQUE. A hint against a MATCH (R3), never for one."""

SENTENCES: Final[dict[str, str]] = {
    "N1 no": "Aucun nom lisible sur l'envoi : il n'est attribué à aucun bénéficiaire.",
    "N1 review": "Le nom sur l'envoi est trop long pour être lu automatiquement : vérifiez le destinataire.",
    "N2 match": "L'envoi porte le nom de la société bénéficiaire.",
    "N2 review": "Le nom ressemble à celui de la société bénéficiaire, sans être le même : vérifiez.",
    "N2 no": "Une société et une personne sont deux destinataires différents, même sous un nom commun.",
    "N3 review": "L'envoi nomme plusieurs personnes, dont une au moins n'est pas sûrement bénéficiaire : vérifiez.",
    "N5 review": "Même nom et même prénom, mais l'autre nom de famille diffère : vérifiez.",
    "R1 review": "Le nom de famille diffère d'une lettre de celui d'un bénéficiaire : vérifiez.",
    "R1 no": "Le nom sur l'envoi n'est celui d'aucun bénéficiaire.",
    "R2 match": "Même nom et même prénom qu'un bénéficiaire.",
    "R3 match": "Même nom, et l'initiale du prénom ne convient qu'à un seul bénéficiaire.",
    "R3 review": "Même nom, mais l'initiale du prénom ne suffit pas à désigner un bénéficiaire : vérifiez.",
    "R4 review": "Même nom, mais le prénom n'est le même qu'en partie : vérifiez.",
    "R5 match": "Même nom sans prénom : le contrat couvre tout le foyer.",
    "R5 review": "Même nom sans prénom, et le contrat ne couvre pas tout le foyer : vérifiez.",
    "R6 match": "Même nom, autre prénom : le contrat couvre tout le foyer.",
    "R6 no": "Même nom, mais un autre prénom que celui des bénéficiaires.",
    "R7 review": "Le nom convient, mais la civilité contredit celle du bénéficiaire : vérifiez.",
    "R8 review": "Le nom peut être lu de deux façons, qui ne désignent pas la même personne : vérifiez.",
}
"""Rule and verdict → what the carrier reads."""
