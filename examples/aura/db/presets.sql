-- The presets as profiles, for `update profiles set config_id = …`. Applying it again leaves tuned rows as they are.
insert into public.app_configurations (name, description, settings)
values
    ('default', 'Balanced', '{
        "l1_model": "mistralai/mistral-7b-instruct",
        "l2_model": "anthropic/claude-3.5-sonnet",
        "l3_model": "deepseek/deepseek-chat"
    }'),
    ('budget', 'Cost-conscious', '{
        "l1_model": "google/gemma-7b-it",
        "l2_model": "anthropic/claude-3-haiku",
        "l3_model": "google/gemini-flash-1.5"
    }'),
    ('performance', 'Maximum quality', '{
        "l1_model": "mistralai/mistral-7b-instruct",
        "l2_model": "anthropic/claude-3-opus",
        "l3_model": "anthropic/claude-3.5-sonnet"
    }'),
    ('all-deepseek', 'Simplest', '{
        "l1_model": "deepseek/deepseek-chat",
        "l2_model": "deepseek/deepseek-chat",
        "l3_model": "deepseek/deepseek-chat"
    }'),
    ('hybrid', 'Experimental: L1 on an Ollama of your own', '{
        "l1_model": "local/phi-3-mini-4k",
        "l2_model": "anthropic/claude-3.5-sonnet",
        "l3_model": "deepseek/deepseek-chat"
    }')
on conflict (name) do nothing;
