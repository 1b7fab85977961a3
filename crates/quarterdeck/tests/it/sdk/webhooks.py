"""Verifies webhooks with the official library of Standard Webhooks: one JSON object a line, the secret as argument."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(sys.argv[1])
verified = 0
for line in sys.stdin:
    hook = json.loads(line)
    webhook.verify(hook["body"], hook["headers"])
    try:
        webhook.verify(hook["body"] + " ", hook["headers"])
    except WebhookVerificationError:
        verified += 1
print(f"verified {verified}")
