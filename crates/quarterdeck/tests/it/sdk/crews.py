"""The official OpenAI client against a server: each crew is a model.

usage: python crews.py URL
"""

import json
import sys
import unittest
import urllib.request

import openai

URL = ""


def job(answer):
    """The job behind an answer's headers."""
    with urllib.request.urlopen(URL + "/v1/jobs/" + answer.headers["x-quarterdeck-job"], timeout=10) as found:
        return json.load(found)


class Crews(unittest.TestCase):
    def client(self):
        return openai.OpenAI(base_url=URL + "/v1", api_key="unused", max_retries=0, timeout=30)

    def ask(self, text, model="talk", **more):
        messages = [{"role": "user", "content": text}]
        return self.client().chat.completions.create(model=model, messages=messages, **more)

    def test_crews_are_models(self):
        names = [model.id for model in self.client().models.list()]
        self.assertIn("talk", names)
        self.assertEqual(self.client().models.retrieve("talk").object, "model")
        with self.assertRaises(openai.NotFoundError):
            self.client().models.retrieve("nobody")

    def test_an_answer_in_one_piece_is_the_output_of_a_job(self):
        messages = [{"role": "user", "content": "What of tea?"}]
        raw = self.client().chat.completions.with_raw_response.create(model="talk", messages=messages)
        answer, known = raw.parse(), job(raw)
        self.assertEqual(answer.choices[0].message.content, known["output"]["raw"])
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.usage.completion_tokens, known["usage"]["output_tokens"])
        self.assertEqual(known["input"], {"message": "What of tea?"})

    def test_a_stream_gives_the_words_of_the_job_and_its_usage(self):
        for model in ["talk", "sums"]:
            raw = self.client().chat.completions.with_raw_response.create(
                model=model,
                messages=[{"role": "user", "content": "what is 6 * 7?"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            pieces, usage, finish = [], None, None
            for piece in raw.parse():
                usage = piece.usage or usage
                for choice in piece.choices:
                    pieces.append(choice.delta.content or "")
                    finish = choice.finish_reason or finish
            known = job(raw)
            self.assertEqual("".join(pieces), known["output"]["raw"], model)
            self.assertEqual(finish, "stop")
            self.assertEqual(usage.completion_tokens, known["usage"]["output_tokens"])

    def test_words_come_while_the_job_goes_on(self):
        pieces = [piece for piece in self.ask("What of the sea?", stream=True) if piece.choices]
        self.assertGreater(len(pieces), 4, "the answer comes in pieces")

    def test_a_user_is_a_conversation(self):
        self.ask("My name is Ada.", user="ada")
        raw = self.client().chat.completions.with_raw_response.create(
            model="talk", user="ada", messages=[{"role": "user", "content": "Again?"}]
        )
        self.assertEqual(job(raw)["conversation_id"], "ada")

    def test_errors_are_the_clients_own(self):
        with self.assertRaises(openai.NotFoundError) as found:
            self.ask("Hi", "nobody")
        self.assertEqual(found.exception.code, "not_found")
        with self.assertRaises(openai.UnprocessableEntityError) as found:
            self.ask("Hi", n=2)
        self.assertEqual((found.exception.code, found.exception.param), ("not_supported", "n"))
        with self.assertRaises(openai.APIStatusError) as found:
            self.ask("Hi [[sim: fault=400]]")
        self.assertEqual(found.exception.type, "server_error")
        with self.assertRaises(openai.APIError):
            for _ in self.ask("Hi [[sim: fault=400]]", stream=True):
                pass


if __name__ == "__main__":
    URL = sys.argv[1]
    unittest.main(argv=sys.argv[:1])
