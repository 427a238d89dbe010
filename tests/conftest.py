"""moto comes first: a client made before it would talk to the real cloud."""

import moto  # isort: skip  # noqa: F401

import os

os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-3",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    "FACTEO_STAGE": "test",
    "FACTEO_AUTHORITY": "api.facteo.test",
    "FACTEO_PUBLIC_URL": "https://api.facteo.test",
    "FACTEO_ATTESTATION_PACKAGE": "fr.laposte.facteo",
    "FACTEO_ATTESTATION_SIGNERS": "00" * 32,
    "FACTEO_OIDC_ISSUER": "https://login.facteo.test",
    "FACTEO_OIDC_AUDIENCE": "staff-web tracking-site",
    "FACTEO_MAIL_FROM": "alerts@facteo.test",
    "FACTEO_PASS_ASSURANCE": "none",
    "FACTEO_PASSKEY_RP_ID": "ops.facteo.test",
    "FACTEO_PASSKEY_ORIGINS": "https://ops.facteo.test https://ops2.facteo.test",
    "FACTEO_PROVIDER_NAME": "La Poste",
    "FACTEO_PROVIDER_ADDRESS": "9 rue du Colonel Pierre Avia, 75015 Paris",
    "FACTEO_PROVIDER_PHONE": "3631",
    "POWERTOOLS_LOG_LEVEL": "WARNING",
    "POWERTOOLS_METRICS_NAMESPACE": "Facteo",
}

pytest_plugins = [f"tests.support.{name}" for name in ("alerts", "figures", "fixtures", "fleet", "rights_used")]
